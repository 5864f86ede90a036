{{/*
seed.by kasm: Kasm's own API image writes the default rows, in the database that kasm-db has migrated. Its container runs kasm-db's
executable, which an init container has copied into a volume, and that runs Kasm's program: once, under the migration lock.
*/}}
{{- define "kasm-db.seededByKasm" -}}
{{- if and .Values.seed.enabled (eq .Values.seed.by "kasm") -}}true{{- end -}}
{{- end -}}

{{- define "kasm-db.seedsItself" -}}
{{- if and .Values.seed.enabled (ne .Values.seed.by "kasm") -}}true{{- end -}}
{{- end -}}

{{/* Are there seed documents of one's own? */}}
{{- define "kasm-db.hasDocuments" -}}
{{- with .Values.seed -}}
{{- if or .existingConfigMap .existingSecret .defaultProperties.existingSecret .customProperties.existingSecret -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Documents of one's own, which kasm-db reads. */}}
{{- define "kasm-db.readsDocuments" -}}
{{- if and (include "kasm-db.seedsItself" .) (include "kasm-db.hasDocuments" .) -}}true{{- end -}}
{{- end -}}

{{- define "kasm-db.install" -}}
- name: install
  {{- include "kasm-db.container" . | nindent 2 }}
  args: [install-to, /opt/kasm-db]
  env:
    - name: KASM_DB_TERMINATION_LOG
      value: /dev/termination-log
  resources: {{- toYaml .Values.migrator.resources | nindent 4 }}
  volumeMounts:
    - name: kasm-db-program
      mountPath: /opt/kasm-db
{{- end -}}

{{- define "kasm-db.kasmSeed" -}}
{{- $values := .Values -}}
{{- $kasm := .Values.seed.kasm -}}
- name: kasm-seed
  image: {{ $kasm.image | default (include "kasm-db.repository" (list $values "kasmweb/api:1.19.0")) | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  terminationMessagePath: /dev/termination-log
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    runAsNonRoot: true
    {{- with $values.security.kasmUser }}
    runAsUser: {{ int64 . }}
    runAsGroup: {{ int64 . }}
    {{- end }}
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  # Whatever the image starts by itself is not meant here.
  command: [/opt/kasm-db/kasm-db]
  args:
    - once
    - kasm-seed
    - --seeds-database
    - --lock-timeout
    - {{ $values.migrator.lockTimeout | quote }}
    - --connect-timeout
    - {{ include "kasm-db.connectTimeout" . | quote }}
    {{- include "kasm-db.documentArgs" . | nindent 4 }}
    - --json
    - --
    {{- toYaml $kasm.command | nindent 4 }}
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm-db.kasmSeedEnv" .) $kasm.extraEnv) | nindent 4 }}
  resources: {{- toYaml $kasm.resources | nindent 4 }}
  volumeMounts:
    {{- include "kasm-db.mounts" . | nindent 4 }}
    {{- include "kasm-db.directMount" . | nindent 4 }}
    - name: kasm-db-program
      mountPath: /opt/kasm-db
      readOnly: true
    - name: kasm-seed-tmp
      mountPath: /tmp
    {{- if include "kasm-db.hasDocuments" . }}
    - name: kasm-db-seeds
      mountPath: {{ $kasm.seedFiles | quote }}
      readOnly: true
    {{- end }}
{{- end -}}

{{- define "kasm-db.kasmSeedEnv" -}}
{{- include "kasm-db.kasmEnv" . }}
{{- include "kasm-db.tlsEnv" .Values.database }}
{{- include "kasm-db.redisEnv" .Values.redis }}
{{- include "kasm-db.directEnv" . }}
- name: KASM_DB_TERMINATION_LOG
  value: /dev/termination-log
{{- end -}}

{{- define "kasm-db.kasmSeedVolumes" -}}
- name: kasm-db-program
  emptyDir: {sizeLimit: 512Mi}
- name: kasm-seed-tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{/* The database and the credentials in the variables that Kasm's image reads; it knows no files. */}}
{{- define "kasm-db.kasmEnv" -}}
{{- $context := . -}}
{{- $database := .Values.database -}}
{{- range $variable, $name := dict "POSTGRES_HOST" "host" "POSTGRES_PORT" "port" "POSTGRES_DB" "name" "POSTGRES_USER" "user" }}
- name: {{ $variable }}
  {{- if and $database.existingSecret (index $database.keys $name) }}
  {{- include "kasm-db.fromSecret" (list $database.existingSecret (index $database.keys $name)) | nindent 2 }}
  {{- else }}
  value: {{ index $database $name | include "kasm-db.text" }}
  {{- end }}
{{- end }}
- name: POSTGRES_PASSWORD
  {{- if $database.existingSecret }}
  {{- include "kasm-db.fromSecret" (list $database.existingSecret $database.keys.password) | nindent 2 }}
  {{- else }}
  {{- $reference := include "kasm-db.reference" (list $context "databasePassword") | fromJson }}
  {{- include "kasm-db.fromSecret" (list $reference.secret $reference.key) | nindent 2 }}
  {{- end }}
{{- range $variable, $name := dict "DEFAULT_ADMIN_PASSWORD" "adminPassword" "DEFAULT_USER_PASSWORD" "userPassword" "DEFAULT_MANAGER_TOKEN" "managerToken" "DEFAULT_REGISTRATION_TOKEN" "serviceToken" }}
{{- $reference := include "kasm-db.reference" (list $context $name) | fromJson }}
{{- if $reference.key }}
- name: {{ $variable }}
  {{- include "kasm-db.fromSecret" (list $reference.secret $reference.key) | nindent 2 }}
{{- end }}
{{- end }}
- name: KASM_DB_SSL
  value: {{ ne $database.sslmode "disable" | quote }}
# kasm-db makes the schema.
- name: DB_AUTO_INITIALIZE
  value: 'false'
{{- end -}}

{{/* A list: Secret, key. */}}
{{- define "kasm-db.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ index . 0 | quote }}
    key: {{ index . 1 | quote }}
{{- end -}}
