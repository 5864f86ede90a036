{{/*
kasm-db.gate: the init container that holds a pod back until the database has everything this build needs.
kasm-db.gate.volumes: the volumes it needs in that pod.

    spec:
      securityContext: {fsGroup: 65532}   # any group: it is what makes the password readable
      enableServiceLinks: false
      initContainers: {{- include "kasm-db.gate" . | nindent 8 }}
      volumes: {{- include "kasm-db.gate.volumes" . | nindent 8 }}

Called from a parent chart they find the values of the dependency named kasm-db; under an alias, pass
(index .Subcharts "alias") instead of the dot.
*/}}
{{- define "kasm-db.gate" -}}
{{- $context := index (.Subcharts | default dict) "kasm-db" | default . -}}
{{- include "kasm-db.validate" $context -}}
- name: kasm-db-gate
  {{- include "kasm-db.container" $context | nindent 2 }}
  args:
    - check
    {{- if $context.Values.seed.enabled }}
    - --seed
    {{- end }}
    - --wait
    - {{ $context.Values.gate.wait | quote }}
  env: {{- include "kasm-db.env" $context | nindent 4 }}
  resources: {{- toYaml $context.Values.gate.resources | nindent 4 }}
  volumeMounts: {{- include "kasm-db.mounts" $context | nindent 4 }}
{{- end -}}

{{- define "kasm-db.gate.volumes" -}}
{{- $context := index (.Subcharts | default dict) "kasm-db" | default . -}}
{{- include "kasm-db.volumes" $context -}}
{{- end -}}

{{/* The pod of the migrator, from which the name of a plain Job is made. */}}
{{- define "kasm-db.podTemplate" -}}
metadata:
  labels: {{- include "kasm-db.labels" . | nindent 4 }}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 30
  enableServiceLinks: false
  automountServiceAccountToken: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: migrate
      {{- include "kasm-db.container" . | nindent 6 }}
      args:
        - migrate
        {{- if .Values.seed.enabled }}
        - --seed
        {{- end }}
        - --json
      env:
        {{- include "kasm-db.env" . | nindent 8 }}
        {{- if .Values.seed.enabled }}
        - name: KASM_DB_SECRETS_DIR
          value: /etc/kasm-db/secrets
        {{- end }}
      resources: {{- toYaml .Values.migrator.resources | nindent 8 }}
      volumeMounts:
        {{- include "kasm-db.mounts" . | nindent 8 }}
        {{- if .Values.seed.enabled }}
        - name: kasm-db-secrets
          mountPath: /etc/kasm-db/secrets
          readOnly: true
        {{- end }}
  volumes:
    {{- include "kasm-db.volumes" . | nindent 4 }}
    {{- if .Values.seed.enabled }}
    - name: kasm-db-secrets
      secret:
        secretName: {{ .Values.credentials.existingSecret | quote }}
        defaultMode: 288 # 0440
        # What is missing is named by the migrator (exit 8); the kubelet would only leave the pod in ContainerCreating.
        optional: true
        items:
          - key: {{ .Values.credentials.keys.adminPassword | quote }}
            path: admin-password
          - key: {{ .Values.credentials.keys.userPassword | quote }}
            path: user-password
          - key: {{ .Values.credentials.keys.managerToken | quote }}
            path: manager-token
          - key: {{ .Values.credentials.keys.serviceToken | quote }}
            path: service-token
    {{- end }}
{{- end -}}

{{/* What the migrator's and the gate's container have in common. */}}
{{- define "kasm-db.container" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
image: {{ printf "%s@%s" $image.repository $image.digest | quote }}
{{- else -}}
image: {{ printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ $image.pullPolicy }}
# The result as JSON is in the container's status: kubectl describe shows it.
terminationMessagePath: /dev/termination-log
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "kasm-db.env" -}}
{{- $database := .Values.database -}}
- name: POSTGRES_HOST
  value: {{ $database.host | quote }}
- name: POSTGRES_PORT
  value: {{ $database.port | int | quote }}
- name: POSTGRES_DB
  value: {{ $database.name | quote }}
- name: POSTGRES_USER
  value: {{ $database.user | quote }}
- name: POSTGRES_PASSWORD_FILE
  value: /etc/kasm-db/database/password
- name: PGSSLMODE
  value: {{ $database.sslmode | quote }}
{{- if or $database.ca.existingSecret $database.ca.existingConfigMap }}
- name: PGSSLROOTCERT
  value: /etc/kasm-db/ca/ca.crt
{{- end }}
- name: KASM_DB_TERMINATION_LOG
  value: /dev/termination-log
{{- end -}}

{{/* Secrets are mounted as folders: a subPath would not follow a rotation. */}}
{{- define "kasm-db.mounts" -}}
- name: kasm-db-password
  mountPath: /etc/kasm-db/database
  readOnly: true
{{- if or .Values.database.ca.existingSecret .Values.database.ca.existingConfigMap }}
- name: kasm-db-ca
  mountPath: /etc/kasm-db/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "kasm-db.volumes" -}}
{{- $ca := .Values.database.ca -}}
{{- $own := .Values.database.passwordSecret -}}
- name: kasm-db-password
  secret:
    secretName: {{ $own.name | default .Values.credentials.existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ ternary $own.key .Values.credentials.keys.databasePassword (ne $own.name "") | quote }}
        path: password
{{- if $ca.existingSecret }}
- name: kasm-db-ca
  secret:
    secretName: {{ $ca.existingSecret | quote }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $ca.key | quote }}
        path: ca.crt
{{- else if $ca.existingConfigMap }}
- name: kasm-db-ca
  configMap:
    name: {{ $ca.existingConfigMap | quote }}
    items:
      - key: {{ $ca.key | quote }}
        path: ca.crt
{{- end }}
{{- end -}}

{{- define "kasm-db.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: kasm-db
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: migrator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/*
The name of the Job. A hook's is constant, so that before-hook-creation finds the last one. A plain Job cannot be changed, so its
name changes with the revision, and with the pod where revisions are not counted (Argo CD). The label job-name allows 63 bytes.
*/}}
{{- define "kasm-db.jobName" -}}
{{- $suffix := "-migrate" -}}
{{- if eq .Values.migrator.mode "job" -}}
{{- $suffix = printf "-migrate-%d-%s" (int .Release.Revision) (include "kasm-db.podTemplate" . | sha256sum | trunc 8) -}}
{{- end -}}
{{- printf "%s%s" (.Release.Name | trunc (int (sub 63 (len $suffix))) | trimSuffix "-" | trimSuffix ".") $suffix -}}
{{- end -}}

{{- define "kasm-db.validate" -}}
{{- if not .Values.database.host -}}
{{- fail "kasm-db: set database.host" -}}
{{- end -}}
{{- if not (or .Values.database.passwordSecret.name .Values.credentials.existingSecret) -}}
{{- fail (printf "kasm-db: set credentials.existingSecret to a Secret with the database password; this makes one from a file:\n  kubectl -n %s create secret generic kasm-credentials --from-file=%s=./password.txt" .Release.Namespace .Values.credentials.keys.databasePassword) -}}
{{- end -}}
{{- if and .Values.seed.enabled (not .Values.credentials.existingSecret) -}}
{{- $keys := .Values.credentials.keys -}}
{{- fail (printf "kasm-db: seed.enabled needs credentials.existingSecret; this makes one from files:\n  kubectl -n %s create secret generic kasm-credentials --from-file=%s=./admin.txt --from-file=%s=./user.txt --from-file=%s=./manager.txt --from-file=%s=./service.txt" .Release.Namespace $keys.adminPassword $keys.userPassword $keys.managerToken $keys.serviceToken) -}}
{{- end -}}
{{- if and .Values.database.ca.existingSecret .Values.database.ca.existingConfigMap -}}
{{- fail "kasm-db: set one of database.ca.existingSecret and database.ca.existingConfigMap" -}}
{{- end -}}
{{- end -}}
