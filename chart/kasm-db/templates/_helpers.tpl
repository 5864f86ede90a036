{{/*
For parents and other charts:

kasm-db.gate: the init container that holds a pod back until the database has everything this build needs.
kasm-db.gate.volumes: the volumes it needs in that pod.
kasm-db.waitFor: the init container that holds a pod back until an HTTP address answers, such as the API's.

    spec:
      securityContext: {fsGroup: 65532}   # any group: it is what makes the password readable
      enableServiceLinks: false
      initContainers: {{- include "kasm-db.gate" . | nindent 8 }}
      volumes: {{- include "kasm-db.gate.volumes" . | nindent 8 }}

Called from a parent chart they find the values of the dependency named kasm-db; under an alias, pass
(index .Subcharts "alias") instead of the dot. A chart that computes values passes a context of its own: a dict of
Values, Release and Chart; kasm-db.manifests renders everything else from it.
*/}}
{{- define "kasm-db.gate" -}}
{{- $context := index (.Subcharts | default dict) "kasm-db" | default . -}}
{{- include "kasm-db.validate" $context -}}
{{- $values := $context.Values -}}
- name: kasm-db-gate
  {{- include "kasm-db.container" $context | nindent 2 }}
  args:
    - check
    {{- if $values.seed.enabled }}
    - --seed
    {{- end }}
    - --wait
    - {{ $values.gate.wait | quote }}
    {{- include "kasm-db.documentArgs" $context | nindent 4 }}
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm-db.env" (dict "context" $context "gate" true)) $values.gate.extraEnv) | nindent 4 }}
  resources: {{- toYaml $values.gate.resources | nindent 4 }}
  volumeMounts:
    {{- include "kasm-db.mounts" $context | nindent 4 }}
    {{- with $values.gate.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "kasm-db.gate.volumes" -}}
{{- $context := index (.Subcharts | default dict) "kasm-db" | default . -}}
{{- include "kasm-db.volumes" (dict "context" $context "gate" true) -}}
{{- end -}}

{{/* The init container of a pod that needs an HTTP service, such as the API. A list: context, name of the container, URL. */}}
{{- define "kasm-db.waitFor" -}}
{{- $context := index ((index . 0).Subcharts | default dict) "kasm-db" | default (index . 0) -}}
{{- $values := $context.Values -}}
- name: {{ index . 1 }}
  {{- include "kasm-db.container" $context | nindent 2 }}
  args: [wait-for, {{ index . 2 | quote }}, --timeout, {{ $values.gate.wait | quote }}]
  env:
    - name: KASM_DB_TERMINATION_LOG
      value: /dev/termination-log
  resources: {{- toYaml $values.gate.resources | nindent 4 }}
{{- end -}}

{{/* Everything but the gates, for a parent chart that passes its own context. */}}
{{- define "kasm-db.manifests" -}}
{{- $context := . -}}
{{- if or (ne .Values.migrator.mode "manual") .Values.onDemand.enabled .Values.verify.schedule -}}
{{- include "kasm-db.validate" . -}}
{{- include "kasm-db.lookUpReferences" . -}}
{{- end -}}
{{- range list "credentials" "networkPolicy" "job" "test" "commands" "extraObjects" }}
{{- with include (printf "kasm-db.%s" .) $context }}
---
{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod of the migrator, from which the name of a plain Job is made. */}}
{{- define "kasm-db.podTemplate" -}}
{{- $rotate := join "," .Values.seed.rotate -}}
metadata:
  labels: {{- include "kasm-db.podLabels" . | nindent 4 }}
  {{- with .Values.migrator.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ include "kasm-db.podDeadline" . }}
  terminationGracePeriodSeconds: 30
  {{- include "kasm-db.podSettings" . | nindent 2 }}
  {{- $before := .Values.migrator.extraInitContainers }}
  {{- if .Values.migrator.backup.enabled }}
  {{- $before = concat $before (include "kasm-db.backup" . | fromYamlArray) }}
  {{- end }}
  {{- $byKasm := include "kasm-db.seededByKasm" . }}
  {{- if or $rotate $byKasm }}
  {{- $before = concat $before (include "kasm-db.migrate" . | fromYamlArray) }}
  {{- end }}
  {{- if $byKasm }}
  {{- $before = concat $before (include "kasm-db.install" . | fromYamlArray) }}
  {{- end }}
  {{- with $before }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- if $rotate }}
    - name: rotate
      {{- include "kasm-db.container" . | nindent 6 }}
      args:
        - seed
        - --rotate
        - {{ $rotate | quote }}
        {{- if .Values.seed.force }}
        - --force
        {{- end }}
        - --lock-timeout
        - {{ .Values.migrator.lockTimeout | quote }}
        {{- if include "kasm-db.hasDocuments" . }}
        - --seeds
        - /etc/kasm-db/seeds
        {{- end }}
        - --json
      {{- include "kasm-db.migratorInside" . | nindent 6 }}
    {{- else if $byKasm }}
    {{- include "kasm-db.kasmSeed" . | nindent 4 }}
    {{- else }}
    {{- include "kasm-db.migrate" . | nindent 4 }}
    {{- end }}
    {{- with .Values.migrator.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "kasm-db.volumes" (dict "context" .) | nindent 4 }}
    {{- include "kasm-db.secretVolumes" . | nindent 4 }}
    {{- if $byKasm }}
    {{- include "kasm-db.kasmSeedVolumes" . | nindent 4 }}
    {{- end }}
    {{- with .Values.migrator.backup }}
    {{- if .enabled }}
    - name: kasm-db-backup
      persistentVolumeClaim:
        claimName: {{ .existingClaim | quote }}
    - name: kasm-db-status
      emptyDir: {sizeLimit: 1Mi}
    {{- end }}
    {{- end }}
    {{- with .Values.migrator.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Seconds for one attempt: less than for the Job, whose deadline removes the pod, and with it the reason and the events. */}}
{{- define "kasm-db.podDeadline" -}}
{{- sub (int64 .Values.migrator.activeDeadlineSeconds) 20 -}}
{{- end -}}

{{/*
An upgrade of what was once installed. `helm upgrade` after a first installation that failed is none: Helm keeps its releases in Secrets,
and there none was ever deployed. Where it keeps them elsewhere, every upgrade is one.
*/}}
{{- define "kasm-db.isUpgrade" -}}
{{- if .Release.IsUpgrade -}}
{{- $failed := false -}}
{{- $deployed := false -}}
{{- range (lookup "v1" "Secret" .Release.Namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "owner") "helm") (eq (get $labels "name") $.Release.Name) -}}
{{- if has (get $labels "status") (list "failed" "pending-install" "pending-upgrade" "pending-rollback") -}}
{{- $failed = true -}}
{{- else -}}
{{- $deployed = true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if or $deployed (not $failed) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "kasm-db.connectTimeout" -}}
{{- .Values.migrator.connectTimeout | default (ternary "3m" "30s" (eq .Values.migrator.mode "job")) -}}
{{- end -}}

{{- define "kasm-db.migrate" -}}
- name: migrate
  {{- include "kasm-db.container" . | nindent 2 }}
  args:
    - migrate
    {{- if .Values.bootstrap.enabled }}
    - --bootstrap
    {{- with .Values.bootstrap.gateRole }}
    - --gate-role
    - {{ include "kasm-db.text" . }}
    {{- end }}
    {{- end }}
    {{- if include "kasm-db.seedsItself" . }}
    - --seed
    {{- end }}
    {{- if and (include "kasm-db.isUpgrade" .) (not .Values.migrator.initializeOnUpgrade) }}
    - --expect-existing
    {{- end }}
    - --lock-timeout
    - {{ .Values.migrator.lockTimeout | quote }}
    {{- with .Values.migrator.cancelBlockers }}
    - --cancel-blockers
    - {{ . | quote }}
    {{- end }}
    - --connect-timeout
    - {{ include "kasm-db.connectTimeout" . | quote }}
    {{- include "kasm-db.documentArgs" . | nindent 4 }}
    - --json
  {{- include "kasm-db.migratorInside" . | nindent 2 }}
{{- end -}}

{{/* Environment, resources and mounts of the migrator. */}}
{{- define "kasm-db.migratorInside" -}}
env: {{- include "kasm-db.withExtraEnv" (list (printf "%s\n%s" (include "kasm-db.env" (dict "context" .)) (include "kasm-db.migratorEnv" .)) .Values.migrator.extraEnv) | nindent 2 }}
resources: {{- toYaml .Values.migrator.resources | nindent 2 }}
volumeMounts:
  {{- include "kasm-db.mounts" . | nindent 2 }}
  {{- include "kasm-db.secretMounts" . | nindent 2 }}
  {{- with .Values.migrator.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "kasm-db.podSettings" -}}
enableServiceLinks: false
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with include "kasm-db.pullSecrets" .Values | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- include "kasm-db.scheduling" .Values }}
securityContext:
  runAsNonRoot: true
  {{- with include "kasm-db.ids" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.security.fsGroup }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Of any pod, as its spec has them. Takes values. */}}
{{- define "kasm-db.scheduling" -}}
{{- $values := . -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "hostAliases" "dnsConfig" "runtimeClassName" }}
{{- with index $values $name }}
{{ dict $name . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Names of Secrets for pulling images, as a JSON list: {name: …} in global values as well as plain names. Takes values. */}}
{{- define "kasm-db.pullSecrets" -}}
{{- $names := list -}}
{{- range concat ((.global | default dict).imagePullSecrets | default list) .image.pullSecrets -}}
{{- if kindIs "map" . -}}{{- $names = append $names .name -}}{{- else -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* A repository, from global.imageRegistry where there is one. A list: values, repository. */}}
{{- define "kasm-db.repository" -}}
{{- with ((index . 0).global | default dict).imageRegistry }}{{ . | trimSuffix "/" }}/{{ end }}{{ index . 1 -}}
{{- end -}}

{{- define "kasm-db.ids" -}}
{{- with .Values.security.runAsUser -}}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.security.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
{{- end -}}

{{/* What the migrator's and the gate's container have in common. */}}
{{- define "kasm-db.container" -}}
{{- $image := .Values.image -}}
{{- $repository := include "kasm-db.repository" (list .Values $image.repository) -}}
{{- if $image.digest -}}
image: {{ printf "%s@%s" $repository $image.digest | quote }}
{{- else -}}
image: {{ printf "%s:%s" $repository ($image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ $image.pullPolicy }}
# The result as JSON is in the container's status: kubectl describe shows it.
terminationMessagePath: /dev/termination-log
{{ include "kasm-db.containerSecurity" . }}
{{- end -}}

{{/* Of every container in a pod of kasm-db. */}}
{{- define "kasm-db.containerSecurity" -}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  runAsNonRoot: true
  {{- with include "kasm-db.ids" . }}
  {{- . | nindent 2 }}
  {{- end }}
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "kasm-db.documentArgs" -}}
{{- if .Values.migrations.existingConfigMap }}
- --migrations
- /etc/kasm-db/migrations
{{- end }}
{{- if include "kasm-db.readsDocuments" . }}
- --seeds
- /etc/kasm-db/seeds
{{- end }}
{{- end -}}

{{/*
Environment for the connection. A dict of context; gate, which may have a login of its own; result, the file that the result goes to
instead of the container's status.
*/}}
{{- define "kasm-db.env" -}}
{{- $values := .context.Values -}}
{{- $database := $values.database -}}
{{- $keys := $database.keys -}}
{{- $fromSecret := ternary $keys (dict) (ne $database.existingSecret "") -}}
{{- $ownLogin := and .gate $values.gate.user -}}
{{- if and $fromSecret.uri (not $ownLogin) }}
- name: KASM_DB_URL_FILE
  value: /etc/kasm-db/database/uri
{{- else }}
{{- if $fromSecret.host }}
- name: POSTGRES_HOST_FILE
  value: /etc/kasm-db/database/host
{{- else }}
- name: POSTGRES_HOST
  value: {{ include "kasm-db.text" $database.host }}
{{- end }}
{{- if $fromSecret.port }}
- name: POSTGRES_PORT_FILE
  value: /etc/kasm-db/database/port
{{- else }}
- name: POSTGRES_PORT
  value: {{ $database.port | int | quote }}
{{- end }}
{{- if $fromSecret.name }}
- name: POSTGRES_DB_FILE
  value: /etc/kasm-db/database/name
{{- else }}
- name: POSTGRES_DB
  value: {{ include "kasm-db.text" $database.name }}
{{- end }}
{{- if $ownLogin }}
- name: POSTGRES_USER
  value: {{ include "kasm-db.text" $values.gate.user }}
{{- else if $fromSecret.user }}
- name: POSTGRES_USER_FILE
  value: /etc/kasm-db/database/user
{{- else }}
- name: POSTGRES_USER
  value: {{ include "kasm-db.text" $database.user }}
{{- end }}
- name: POSTGRES_PASSWORD_FILE
  value: /etc/kasm-db/database/password
{{- end }}
{{- if not .gate }}
{{- with $database.role }}
- name: KASM_DB_ROLE
  value: {{ include "kasm-db.text" . }}
{{- end }}
{{- end }}
{{- include "kasm-db.tlsEnv" $database }}
{{- include "kasm-db.redisEnv" $values.redis }}
{{- with $values.seed.authDomain }}
- name: KASM_DB_AUTH_DOMAIN
  value: {{ include "kasm-db.text" . }}
{{- end }}
- name: KASM_DB_TERMINATION_LOG
  value: {{ .result | default "/dev/termination-log" }}
- name: KASM_DB_HINTS
  value: {{ ternary "chart:kasm-db" "chart" (default false $values.renderedByParent) | quote }}
{{- end -}}

{{/* Text that a container gets as it is: in a variable or an argument Kubernetes puts values in place of $(NAME), and one $ in place of two. */}}
{{- define "kasm-db.text" -}}
{{- . | toString | replace "$" "$$" | quote -}}
{{- end -}}

{{/* Variables, with a user's own in place of those that have their names. A list: ours as YAML, theirs. */}}
{{- define "kasm-db.withExtraEnv" -}}
{{- $theirs := index . 1 -}}
{{- $names := list -}}
{{- range $theirs -}}{{- $names = append $names .name -}}{{- end -}}
{{- $variables := list -}}
{{- range index . 0 | fromYamlArray -}}
{{- if not (has .name $names) -}}{{- $variables = append $variables . -}}{{- end -}}
{{- end -}}
{{- concat $variables $theirs | toYaml -}}
{{- end -}}

{{- define "kasm-db.tlsEnv" }}
{{- $database := . }}
- name: PGSSLMODE
  value: {{ $database.sslmode | quote }}
{{- if or $database.ca.existingSecret $database.ca.existingConfigMap }}
- name: PGSSLROOTCERT
  value: /etc/kasm-db/ca/ca.crt
{{- else if eq $database.sslmode "verify-full" }}
- name: PGSSLROOTCERT
  value: system
{{- end }}
{{- if $database.clientCertificate.existingSecret }}
- name: PGSSLCERT
  value: /etc/kasm-db/client/tls.crt
- name: PGSSLKEY
  value: /etc/kasm-db/client/tls.key
{{- end }}
{{- end -}}

{{- define "kasm-db.redisEnv" -}}
{{- if or .host .sentinels .cluster }}
{{- if .host }}
- name: KASM_DB_REDIS_HOST
  value: {{ include "kasm-db.text" .host }}
- name: KASM_DB_REDIS_PORT
  value: {{ .port | int | quote }}
{{- end }}
{{- if .sentinels }}
- name: KASM_DB_REDIS_SENTINELS
  value: {{ join "," .sentinels | include "kasm-db.text" }}
{{- end }}
{{- with .master }}
- name: KASM_DB_REDIS_MASTER
  value: {{ include "kasm-db.text" . }}
{{- end }}
{{- if .cluster }}
- name: KASM_DB_REDIS_CLUSTER
  value: {{ join "," .cluster | include "kasm-db.text" }}
{{- end }}
{{- with .username }}
- name: KASM_DB_REDIS_USERNAME
  value: {{ include "kasm-db.text" . }}
{{- end }}
{{- if .existingSecret }}
- name: KASM_DB_REDIS_PASSWORD_FILE
  value: /etc/kasm-db/redis/password
{{- end }}
{{- if .tls.enabled }}
- name: KASM_DB_REDIS_TLS
  value: 'true'
{{- end }}
{{- if or .tls.ca.existingSecret .tls.ca.existingConfigMap }}
- name: KASM_DB_REDIS_CA
  value: /etc/kasm-db/redis-ca/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* What only the migrator is told. */}}
{{- define "kasm-db.migratorEnv" -}}
{{- include "kasm-db.directEnv" . }}
{{- if include "kasm-db.seedsItself" . }}
- name: KASM_DB_SECRETS_DIR
  value: /etc/kasm-db/secrets
{{- end }}
{{- if .Values.bootstrap.enabled }}
- name: DATABASE_MASTER_USER_FILE
  value: /etc/kasm-db/admin/user
- name: DATABASE_MASTER_PASSWORD_FILE
  value: /etc/kasm-db/admin/password
{{- if .Values.bootstrap.gateRole }}
- name: KASM_DB_GATE_PASSWORD_FILE
  value: /etc/kasm-db/gate/password
{{- end }}
{{- end }}
{{- end -}}

{{/* The way around a pooler. */}}
{{- define "kasm-db.directEnv" -}}
{{- $directUrl := .Values.database.directUrl -}}
{{- if $directUrl.existingSecret }}
- name: KASM_DB_DIRECT_URL_FILE
  value: /etc/kasm-db/direct/url
{{- else if $directUrl.url }}
- name: KASM_DB_DIRECT_URL
  value: {{ include "kasm-db.text" $directUrl.url }}
{{- end }}
{{- end -}}

{{- define "kasm-db.directMount" -}}
{{- if .Values.database.directUrl.existingSecret }}
- name: kasm-db-direct
  mountPath: /etc/kasm-db/direct
  readOnly: true
{{- end }}
{{- end -}}

{{/* Secrets are mounted as folders: a subPath would not follow a rotation. */}}
{{- define "kasm-db.mounts" -}}
{{- $values := .Values -}}
- name: kasm-db-password
  mountPath: /etc/kasm-db/database
  readOnly: true
{{- if or $values.database.ca.existingSecret $values.database.ca.existingConfigMap }}
- name: kasm-db-ca
  mountPath: /etc/kasm-db/ca
  readOnly: true
{{- end }}
{{- if $values.database.clientCertificate.existingSecret }}
- name: kasm-db-client
  mountPath: /etc/kasm-db/client
  readOnly: true
{{- end }}
{{- if $values.redis.existingSecret }}
- name: kasm-db-redis
  mountPath: /etc/kasm-db/redis
  readOnly: true
{{- end }}
{{- if or $values.redis.tls.ca.existingSecret $values.redis.tls.ca.existingConfigMap }}
- name: kasm-db-redis-ca
  mountPath: /etc/kasm-db/redis-ca
  readOnly: true
{{- end }}
{{- if $values.migrations.existingConfigMap }}
- name: kasm-db-migrations
  mountPath: /etc/kasm-db/migrations
  readOnly: true
{{- end }}
{{- if include "kasm-db.readsDocuments" . }}
- name: kasm-db-seeds
  mountPath: /etc/kasm-db/seeds
  readOnly: true
{{- end }}
{{- end -}}

{{/* A dict of context and gate. */}}
{{- define "kasm-db.volumes" -}}
{{- $context := .context -}}
{{- $values := $context.Values -}}
{{- $database := $values.database -}}
- name: kasm-db-password
  {{- if and .gate $values.gate.user }}
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- include "kasm-db.source" (list $values.gate.existingSecret $values.gate.key "password") | nindent 6 }}
      {{- if $database.existingSecret }}
      {{- range $name := list "host" "port" "name" }}
      {{- with index $database.keys $name }}
      {{- include "kasm-db.source" (list $database.existingSecret . $name) | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- end }}
  {{- else }}
  secret:
    {{- if $database.existingSecret }}
    secretName: {{ $database.existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      {{- range $name := list "password" "uri" "host" "port" "name" "user" }}
      {{- with index $database.keys $name }}
      - key: {{ . | quote }}
        path: {{ $name }}
      {{- end }}
      {{- end }}
    {{- else }}
    {{- $reference := include "kasm-db.reference" (list $context "databasePassword") | fromJson }}
    secretName: {{ $reference.secret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $reference.key | quote }}
        path: password
    {{- end }}
  {{- end }}
{{- include "kasm-db.caVolume" (list "kasm-db-ca" $database.ca) }}
{{- with $database.clientCertificate }}
{{- if .existingSecret }}
- name: kasm-db-client
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .certKey | quote }}
        path: tls.crt
      - key: {{ .keyKey | quote }}
        path: tls.key
{{- end }}
{{- end }}
{{- with $values.redis }}
{{- if .existingSecret }}
- name: kasm-db-redis
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 288 # 0440
    # Redis is a convenience: nobody waits for its password.
    optional: true
    items:
      - key: {{ .key | quote }}
        path: password
{{- end }}
{{- include "kasm-db.caVolume" (list "kasm-db-redis-ca" .tls.ca) }}
{{- end }}
{{- with $values.migrations.existingConfigMap }}
- name: kasm-db-migrations
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- if or (include "kasm-db.readsDocuments" $context) (and (include "kasm-db.seededByKasm" $context) (not .gate)) }}
{{- include "kasm-db.documentsVolume" $values.seed }}
{{- end }}
{{- end -}}

{{/* Seed documents from wherever they are, in one folder. Takes seed's values. */}}
{{- define "kasm-db.documentsVolume" -}}
{{- $custom := .customProperties.existingSecret -}}
{{- $default := .defaultProperties.existingSecret -}}
{{- if or $custom $default }}
- name: kasm-db-seeds
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- with .existingConfigMap }}
      - configMap:
          name: {{ . | quote }}
      {{- end }}
      {{- with .existingSecret }}
      - secret:
          name: {{ . | quote }}
      {{- end }}
      {{- if $default }}
      {{- include "kasm-db.source" (list $default .defaultProperties.key "default_properties.yaml") | nindent 6 }}
      {{- end }}
      {{- if $custom }}
      {{- include "kasm-db.source" (list $custom .customProperties.key "custom_properties.yaml") | nindent 6 }}
      {{- end }}
{{- else if .existingConfigMap }}
- name: kasm-db-seeds
  configMap:
    name: {{ .existingConfigMap | quote }}
{{- else if .existingSecret }}
- name: kasm-db-seeds
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 288 # 0440
{{- end }}
{{- end -}}

{{/* A list: the volume's name, {existingSecret, existingConfigMap, key}. */}}
{{- define "kasm-db.caVolume" -}}
{{- $ca := index . 1 -}}
{{- if $ca.existingSecret }}
- name: {{ index . 0 }}
  secret:
    secretName: {{ $ca.existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $ca.key | quote }}
        path: ca.crt
{{- else if $ca.existingConfigMap }}
- name: {{ index . 0 }}
  configMap:
    name: {{ $ca.existingConfigMap | quote }}
    items:
      - key: {{ $ca.key | quote }}
        path: ca.crt
{{- end }}
{{- end -}}

{{/* A source of a projected volume; a list: Secret, key, file. */}}
{{- define "kasm-db.source" -}}
- secret:
    name: {{ index . 0 | quote }}
    items:
      - key: {{ index . 1 | quote }}
        path: {{ index . 2 | quote }}
{{- end -}}

{{- define "kasm-db.secretMounts" -}}
{{- if include "kasm-db.seedsItself" . }}
- name: kasm-db-secrets
  mountPath: /etc/kasm-db/secrets
  readOnly: true
{{- end }}
{{- if .Values.bootstrap.enabled }}
- name: kasm-db-admin
  mountPath: /etc/kasm-db/admin
  readOnly: true
{{- if .Values.bootstrap.gateRole }}
- name: kasm-db-gate-password
  mountPath: /etc/kasm-db/gate
  readOnly: true
{{- end }}
{{- end }}
{{- include "kasm-db.directMount" . }}
{{- end -}}

{{/* Secrets that only the migrator may read. */}}
{{- define "kasm-db.secretVolumes" -}}
{{- $context := . -}}
{{- if include "kasm-db.seedsItself" . }}
- name: kasm-db-secrets
  projected:
    defaultMode: 288 # 0440
    # What is missing is named by the migrator (exit 8); the kubelet would only leave the pod in ContainerCreating.
    sources:
      {{- range $file, $name := include "kasm-db.seeded" . | fromJson }}
      {{- $reference := include "kasm-db.reference" (list $context $name) | fromJson }}
      - secret:
          name: {{ $reference.secret | quote }}
          optional: true
          items:
            - key: {{ $reference.key | quote }}
              path: {{ $file | quote }}
      {{- end }}
{{- end }}
{{- with .Values.bootstrap }}
{{- if .enabled }}
- name: kasm-db-admin
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .keys.user | quote }}
        path: user
      - key: {{ .keys.password | quote }}
        path: password
{{- if .gateRole }}
- name: kasm-db-gate-password
  secret:
    secretName: {{ $context.Values.gate.existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $context.Values.gate.key | quote }}
        path: password
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.database.directUrl }}
{{- if .existingSecret }}
- name: kasm-db-direct
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .key | quote }}
        path: url
{{- end }}
{{- end }}
{{- end -}}

{{- define "kasm-db.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "kasm-db.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of a pod: its own stand over those of everything. */}}
{{- define "kasm-db.podLabels" -}}
{{- mergeOverwrite (include "kasm-db.labels" . | fromYaml) .Values.migrator.podLabels | toYaml -}}
{{- end -}}

{{- define "kasm-db.selectorLabels" -}}
app.kubernetes.io/name: kasm-db
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: migrator
{{- end -}}

{{/* Where everything goes: a chart that sets global.namespace keeps its resources apart from where Helm keeps the release. */}}
{{- define "kasm-db.namespace" -}}
{{- (.Values.global | default dict).namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "kasm-db.prefix" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end -}}

{{/* A name of at most so many characters. A list: context, how many, what it ends with. A release's name may have dots, and no part of a name ends with one. */}}
{{- define "kasm-db.name" -}}
{{- $suffix := index . 2 -}}
{{- $length := int (sub (index . 1) (len $suffix)) -}}
{{- printf "%s%s" (include "kasm-db.prefix" (index . 0) | trunc $length | trimSuffix "-" | trimSuffix ".") $suffix -}}
{{- end -}}

{{/*
The name of the Job. A hook's is constant, so that before-hook-creation finds the last one. A plain Job cannot be changed, so its
name changes with the revision, with the pod where revisions are not counted (Argo CD), and with the Jobs of this release that have
ended: `helm install --replace` after a failed install renders revision 1 once more, and Helm would adopt the Job that has failed.
The label job-name allows 63 bytes.
*/}}
{{- define "kasm-db.jobName" -}}
{{- $suffix := "-migrate" -}}
{{- if eq .Values.migrator.mode "job" -}}
{{- $content := printf "%s%s" (include "kasm-db.podTemplate" .) (include "kasm-db.endedJobs" .) -}}
{{- $suffix = printf "-migrate-%d-%s" (int .Release.Revision) ($content | sha256sum | trunc 8) -}}
{{- end -}}
{{- include "kasm-db.name" (list . 63 $suffix) -}}
{{- end -}}

{{/* The uids of this release's Jobs that have ended, however they did. Without a cluster to ask: nothing. */}}
{{- define "kasm-db.endedJobs" -}}
{{- $uids := list -}}
{{- range (lookup "batch/v1" "Job" (include "kasm-db.namespace" .) "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) (eq (get $labels "app.kubernetes.io/component") "migrator") -}}
{{- $uid := .metadata.uid -}}
{{- range (.status | default dict).conditions -}}
{{- if and (has .type (list "Complete" "Failed")) (eq .status "True") -}}
{{- $uids = append $uids $uid -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $uids | uniq | sortAlpha | join "," -}}
{{- end -}}
