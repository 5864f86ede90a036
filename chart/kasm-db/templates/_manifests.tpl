{{- define "kasm-db.job" -}}
{{- if ne .Values.migrator.mode "manual" -}}
{{- include "kasm-db.validate" . -}}
{{- $hook := eq .Values.migrator.mode "hook" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "kasm-db.jobName" . }}
  namespace: {{ include "kasm-db.namespace" . | quote }}
  labels: {{- include "kasm-db.labels" . | nindent 4 }}
  {{- with merge (dict) .Values.migrator.annotations .Values.annotations (ternary (include "kasm-db.jobHook" . | fromYaml) (dict) $hook) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  backoffLimit: {{ int .Values.migrator.backoffLimit }}
  activeDeadlineSeconds: {{ int64 .Values.migrator.activeDeadlineSeconds }}
  {{- if not (kindIs "invalid" .Values.migrator.ttlSecondsAfterFinished) }}
  ttlSecondsAfterFinished: {{ int64 .Values.migrator.ttlSecondsAfterFinished }}
  {{- end }}
  podFailurePolicy:
    rules:
      # An evicted or preempted pod is no failed attempt.
      - action: Ignore
        onPodConditions:
          - type: DisruptionTarget
            status: 'True'
      {{- if include "kasm-db.seededByKasm" . }}
      # Kasm's program may fail for what passes by itself, such as a name that is not there yet.
      - action: Count
        onExitCodes:
          containerName: kasm-seed
          operator: In
          values: [7]
      {{- end }}
      # Exit codes at which trying again does not help: internal, usage, integrity, failed, seed, environment.
      - action: FailJob
        onExitCodes:
          operator: In
          values: [1, 2, 6, 7, 8, 9]
  template: {{- include "kasm-db.podTemplate" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "kasm-db.jobHook" -}}
{{- include "kasm-db.hook" .Values.migrator.hookWeight }}
# Helm prints the log of an attempt that failed, with the reason and the next step.
helm.sh/hook-output-log-policy: hook-failed
{{- end -}}

{{/* Annotations of what comes before install and upgrade. Takes the weight: the lower comes first. */}}
{{- define "kasm-db.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ int . | quote }}
helm.sh/hook-delete-policy: before-hook-creation
{{- end -}}

{{/* Ports that the migrator connects to, with commas. One that stands in a Secret is not known here: then nothing, which is every port. */}}
{{- define "kasm-db.ports" -}}
{{- $database := .Values.database -}}
{{- $redis := .Values.redis -}}
{{- $direct := $database.directUrl -}}
{{- if or (and $database.existingSecret (or $database.keys.uri $database.keys.port)) $direct.existingSecret -}}
{{- else -}}
{{- $ports := list (int $database.port) -}}
{{- with $direct.url -}}
{{- range regexReplaceAll "^[a-z]+://([^@]*@)?([^/?]*).*$" . "${2}" | splitList "," -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "5432" | int) -}}
{{- end -}}
{{- end -}}
{{- /* Behind Sentinels Redis itself has a port of its own. */ -}}
{{- if or $redis.host $redis.sentinels -}}
{{- $ports = append $ports (int $redis.port) -}}
{{- end -}}
{{- range concat $redis.sentinels $redis.cluster -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "6379" | int) -}}
{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}
{{- end -}}

{{/* One that is a hook has another name: Helm takes over nothing that hooks have made, so a release whose mode changes would be stuck. */}}
{{- define "kasm-db.networkPolicy" -}}
{{- if and .Values.networkPolicy.enabled (or (ne .Values.migrator.mode "manual") .Values.onDemand.enabled .Values.verify.schedule) -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "kasm-db.name" (list . 63 (ternary "-migrate" "-network" (eq .Values.migrator.mode "hook"))) }}
  namespace: {{ include "kasm-db.namespace" . | quote }}
  labels: {{- include "kasm-db.labels" . | nindent 4 }}
  {{- with merge (dict) .Values.annotations (ternary (include "kasm-db.hook" .Values.networkPolicy.hookWeight | fromYaml) (dict) (eq .Values.migrator.mode "hook")) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  podSelector:
    # The migrator, and what runs on demand.
    matchLabels: {{- omit (include "kasm-db.selectorLabels" . | fromYaml) "app.kubernetes.io/component" | toYaml | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    # DNS.
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    - ports:
        {{- range include "kasm-db.ports" . | splitList "," }}
        - {{ with . }}{port: {{ . }}, protocol: TCP}{{ else }}{protocol: TCP}{{ end }}
        {{- end }}
      {{- with .Values.networkPolicy.peers }}
      to: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with .Values.networkPolicy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* helm test: does the database have everything that this release needs? */}}
{{- define "kasm-db.test" -}}
{{- if ne .Values.migrator.mode "manual" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "kasm-db.testPod" . }}
  namespace: {{ include "kasm-db.namespace" . | quote }}
  labels: {{- include "kasm-db.podLabels" . | nindent 4 }}
  annotations:
    {{- with merge (dict) .Values.migrator.podAnnotations .Values.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
    helm.sh/hook-output-log-policy: hook-failed
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 60
  {{- include "kasm-db.podSettings" . | nindent 2 }}
  containers:
    - name: check
      {{- include "kasm-db.container" . | nindent 6 }}
      args:
        - check
        {{- if .Values.seed.enabled }}
        - --seed
        {{- end }}
        {{- include "kasm-db.documentArgs" . | nindent 8 }}
        - --json
      env: {{- include "kasm-db.withExtraEnv" (list (include "kasm-db.env" (dict "context" . "gate" true)) .Values.gate.extraEnv) | nindent 8 }}
      resources: {{- toYaml .Values.gate.resources | nindent 8 }}
      volumeMounts: {{- include "kasm-db.mounts" . | nindent 8 }}
  volumes: {{- include "kasm-db.gate.volumes" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "kasm-db.testPod" -}}
{{ include "kasm-db.name" (list . 63 "-migrate-test") }}
{{- end -}}

{{/* The command that asks, for NOTES. Helm's --logs looks for the pod where Helm keeps the release, which may be another namespace. */}}
{{- define "kasm-db.testCommand" -}}
{{- $namespace := include "kasm-db.namespace" . -}}
helm test {{ .Release.Name }} -n {{ .Release.Namespace }}
{{- if eq $namespace .Release.Namespace }} --logs{{ else }} && kubectl -n {{ $namespace }} logs {{ include "kasm-db.testPod" . }}{{ end -}}
{{- end -}}

{{/* Manifests that a user adds, as text or as objects; templates in them see what this chart sees. */}}
{{- define "kasm-db.extraObjects" -}}
{{- $context := . -}}
{{- range .Values.extraObjects }}
---
{{ tpl (ternary . (toYaml .) (kindIs "string" .)) $context }}
{{- end }}
{{- end -}}

{{/* The database's host for NOTES; nothing where it stands in a Secret. */}}
{{- define "kasm-db.notesHost" -}}
{{- with .Values.database -}}
{{- if not (and .existingSecret (or .keys.uri .keys.host)) -}}{{ .host }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* A value of the database as YAML, for NOTES, or where it stands. A list: context, name. */}}
{{- define "kasm-db.notesValue" -}}
{{- $database := (index . 0).Values.database -}}
{{- $value := index $database (index . 1) -}}
{{- $key := index $database.keys (index . 1) -}}
{{- if and $database.existingSecret $key -}}
{{ printf "<%s of the Secret %s>" $key $database.existingSecret | quote }}
{{- else if kindIs "string" $value -}}
{{ $value | quote }}
{{- else -}}
{{ int $value }}
{{- end -}}
{{- end -}}

{{/* What mode manual leaves to do, for NOTES of this chart and its parents. */}}
{{- define "kasm-db.manualNotes" -}}
{{- $command := ternary "kasm-db migrate --seed" "kasm-db migrate" (ne (include "kasm-db.seedsItself" .) "") -}}
No Job migrates the database (migrator.mode: manual). Run `{{ $command }}` yourself; the gates wait for it.
{{- if .Values.onDemand.enabled }}
Inside of the cluster, as any of {{ concat (list "migrate" "status" "doctor" "verify") (keys .Values.onDemand.commands | sortAlpha) | join ", " }}:

  kubectl -n {{ include "kasm-db.namespace" . }} create job --from=cronjob/{{ include "kasm-db.commandName" (list . "status") }} status
{{- end }}
{{- end -}}

{{/* The commands that say why the migrator failed, or why it does not start, for NOTES of this chart and its parents. */}}
{{- define "kasm-db.whyCommands" -}}
{{- $namespace := include "kasm-db.namespace" . -}}
{{- $select := printf "-n %s -l app.kubernetes.io/instance=%s,app.kubernetes.io/component=migrator" $namespace .Release.Name -}}
{{ printf "  kubectl logs %s --all-containers --prefix --tail=-1" $select }}
{{ printf "  kubectl get pods %s -o jsonpath='{range .items[*]}{.metadata.name}: {.status.reason} {.status.initContainerStatuses[*].state.terminated.message}{.status.containerStatuses[*].state.terminated.message}{\"\\n\"}{end}'" $select }}
{{ printf "  kubectl get events -n %s --field-selector type=Warning --sort-by=.metadata.creationTimestamp" $namespace }}
{{- end -}}
