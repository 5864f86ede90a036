{{/* The values of chart kasm-db, with what this chart knows better. */}}
{{- define "kasm.dbValues" -}}
{{- $own := deepCopy (index .Values "kasm-db") -}}
{{- $database := .Values.database -}}
{{- $mode := .Values.migrator.mode | default (ternary "job" "hook" $database.bundled) -}}
{{- $credentials := dict
  "existingSecret" .Values.credentials.existingSecret
  "keys" (omit .Values.credentials.keys "redisPassword")
  "otherSecrets" (omit .Values.credentials.otherSecrets "redisPassword")
  "makeAgain" .Values.credentials.makeAgain
  "makeDatabasePassword" $database.bundled -}}
{{- $connection := pick $database "port" "name" "user" "sslmode" "ca" -}}
{{- if $database.bundled -}}
{{- $connection = merge (dict "host" "db" "port" 5432 "existingSecret" "") $connection -}}
{{- else -}}
{{- $connection = merge (pick $database "host" "existingSecret" "keys") $connection -}}
{{- end -}}
{{- $redis := dict -}}
{{- if include "kasm.legacy" . -}}
{{- $reference := include "kasm.reference" (list . "redisPassword") | fromJson -}}
{{- $redis = dict "host" "kasm-redis" "existingSecret" $reference.secret "key" $reference.key -}}
{{- $credentials = set $credentials "extra" (merge (dict "redis-password" .Values.credentials.keys.redisPassword) ($own.credentials.extra | default dict)) -}}
{{- with .Values.credentials.otherSecrets.redisPassword -}}
{{- $credentials = set $credentials "otherSecrets" (set $credentials.otherSecrets "redis-password" .) -}}
{{- end -}}
{{- end -}}
{{- /* What holds for every pod and object; kasm-db's own values come first. */ -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "hostAliases" "dnsConfig" "runtimeClassName" -}}
{{- $own = set $own $name (index $own $name | default (index $.Values $name)) -}}
{{- end -}}
{{- if not $own.seed.kasm.image -}}
{{- $_ := set $own.seed.kasm "image" (include "kasm.image" (list . .Values.api "api") | fromYaml).image -}}
{{- end -}}
{{- $_ := set $own.security "kasmUser" .Values.security.runAsUser -}}
{{- mergeOverwrite $own (dict
  "global" (merge (dict "namespace" .Values.namespace) (.Values.global | default dict))
  "image" (dict "pullSecrets" (include "kasm.pullSecrets" . | fromJsonArray))
  "labels" (merge (dict) $own.labels .Values.commonLabels)
  "annotations" (merge (dict) $own.annotations .Values.commonAnnotations)
  "migrator" (dict
    "mode" $mode
    "podLabels" (merge (dict) $own.migrator.podLabels .Values.podLabels)
    "podAnnotations" (merge (dict) $own.migrator.podAnnotations .Values.podAnnotations .Values.commonAnnotations))
  "credentials" $credentials
  "database" $connection
  "redis" $redis) | toJson -}}
{{- end -}}

{{/* A list: context, name of a template of chart kasm-db, what it takes beside its context. */}}
{{- define "kasm.db" -}}
{{- $context := index . 0 -}}
{{- $template := index . 1 -}}
{{- $own := dict
  "Values" (include "kasm.dbValues" $context | fromJson)
  "Release" $context.Release
  "Chart" (index $context.Subcharts "kasm-db").Chart
  "Capabilities" $context.Capabilities -}}
{{- if gt (len .) 2 -}}
{{- include $template (concat (list $own) (slice . 2)) -}}
{{- else -}}
{{- include $template $own -}}
{{- end -}}
{{- end -}}

{{/* The init container of what registers at the API, and ends when none answers: it asks where that will register. */}}
{{- define "kasm.waitForApi" -}}
{{- include "kasm.db" (list . "kasm-db.waitFor" "wait-for-api" "http://kasm-proxy:8080/api/__healthcheck") -}}
{{- end -}}
