{{/*
kasm-db inside of the cluster, on demand: suspended CronJobs, from which `kubectl create job --from=cronjob/NAME` makes a Job: the usual commands and
those of onDemand.commands; and verify by a schedule, whose Job fails when there is drift. They have the migrator's pod, with another command in it.
*/}}
{{- define "kasm-db.commands" -}}
{{- $context := . -}}
{{- $own := ternary .Values.onDemand.commands dict .Values.onDemand.enabled -}}
{{- $commands := ternary (list "migrate" "status" "doctor" "verify") (list) .Values.onDemand.enabled -}}
{{- if .Values.verify.schedule -}}{{- $commands = append $commands "verify" | uniq -}}{{- end -}}
{{- range $command := concat $commands (keys $own | sortAlpha) }}
{{- $schedule := ternary $context.Values.verify.schedule "" (eq $command "verify") }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "kasm-db.commandName" (list $context $command) }}
  namespace: {{ include "kasm-db.namespace" $context | quote }}
  labels: {{- include "kasm-db.commandLabels" $context | nindent 4 }}
  {{- with $context.Values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # A suspended one needs a schedule too.
  schedule: {{ $schedule | default "0 0 1 1 *" | quote }}
  suspend: {{ not $schedule }}
  concurrencyPolicy: Forbid
  jobTemplate:
    metadata:
      labels: {{- include "kasm-db.commandLabels" $context | nindent 8 }}
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: {{ int64 $context.Values.migrator.activeDeadlineSeconds }}
      template: {{- include "kasm-db.commandPod" (list $context $command) | nindent 8 }}
{{- end }}
{{- end -}}

{{/* A CronJob's name has at most 52 characters, and those of short commands begin alike. A list: context, command. */}}
{{- define "kasm-db.commandName" -}}
{{- $command := index . 1 -}}
{{- include "kasm-db.name" (list (index . 0) (min 52 (add 43 (len $command)) | int) (printf "-%s" $command)) -}}
{{- end -}}

{{/* Not those of the migrator, whose Jobs are looked for by their labels. */}}
{{- define "kasm-db.commandLabels" -}}
{{- mergeOverwrite (include "kasm-db.labels" . | fromYaml) (dict "app.kubernetes.io/component" "command") | toYaml -}}
{{- end -}}

{{/*
The migrator's pod with one container: migrate as the migrator runs it (and after it Kasm's own program, where that writes the seed), or another
command. A list: context, command.
*/}}
{{- define "kasm-db.commandPod" -}}
{{- $context := index . 0 -}}
{{- $command := index . 1 -}}
{{- $byKasm := ne (include "kasm-db.seededByKasm" $context) "" -}}
{{- $pod := include "kasm-db.podTemplate" $context | fromYaml -}}
{{- $container := include "kasm-db.migrate" $context | fromYamlArray | first -}}
{{- $args := without $container.args "--expect-existing" -}}
{{- if ne $command "migrate" -}}
{{- $args = concat (list $command) (include "kasm-db.documentArgs" $context | fromYamlArray) (list "--json") -}}
{{- with get $context.Values.onDemand.commands $command -}}{{- $args = concat . (rest $args) -}}{{- end -}}
{{- if and (eq $command "doctor") (not (include "kasm-db.seedsItself" $context)) -}}{{- $args = append $args "--no-seed" -}}{{- end -}}
{{- end -}}
{{- $_ := set $container "name" $command -}}
{{- $_ = set $container "args" $args -}}
{{- $before := $context.Values.migrator.extraInitContainers -}}
{{- $containers := list $container -}}
{{- $without := list "kasm-db-backup" "kasm-db-status" -}}
{{- if and $byKasm (eq $command "migrate") -}}
{{- $before = concat $before (list $container) (include "kasm-db.install" $context | fromYamlArray) -}}
{{- $containers = include "kasm-db.kasmSeed" $context | fromYamlArray -}}
{{- else if $byKasm -}}
{{- $without = concat $without (list "kasm-db-program" "kasm-seed-tmp" "kasm-db-seeds") -}}
{{- end -}}
{{- $_ = set $pod.spec "containers" $containers -}}
{{- $_ = set $pod "spec" (omit $pod.spec "initContainers") -}}
{{- if $before -}}
{{- $_ = set $pod.spec "initContainers" $before -}}
{{- end -}}
{{- $volumes := list -}}
{{- range $pod.spec.volumes -}}
{{- if not (has .name $without) -}}{{- $volumes = append $volumes . -}}{{- end -}}
{{- end -}}
{{- $_ = set $pod.spec "volumes" $volumes -}}
{{- $_ = set $pod.metadata "labels" (mergeOverwrite $pod.metadata.labels (include "kasm-db.commandLabels" $context | fromYaml)) -}}
{{- $pod | toYaml -}}
{{- end -}}
