{{- define "secrets" -}}{{ .Values.kasmSecrets.name | default (printf "%s-secrets" .Release.Name) }}{{- end -}}

{{- define "databaseService" -}}{{ .Release.Name }}-db{{- end -}}

{{/* Where the password is: a Secret of its own, else <release>-secrets, whatever kasmSecrets.name says. */}}
{{- define "connection" -}}
- {name: PGHOST, value: {{ ternary .Values.database.hostname (include "databaseService" .) .Values.database.standalone | quote }}}
- {name: PGPORT, value: {{ .Values.database.port | quote }}}
- {name: PGDATABASE, value: {{ .Values.database.kasmDbName | quote }}}
- {name: PGUSER, value: {{ .Values.database.kasmDbUser | quote }}}
- {name: PGCONNECT_TIMEOUT, value: "10"}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.kasmDbSecret.name | default (printf "%s-secrets" .Release.Name) }}
      key: {{ .Values.database.kasmDbSecret.key | default "db-password" }}
{{- end -}}

{{- define "image" -}}{{ .Values.image }}:{{ .Values.useImageTags }}{{- end -}}

{{- define "security" -}}
securityContext:
  {runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
{{- end -}}

{{- define "validate" -}}
{{- if and .Values.dbManagement.initialize .Values.dbManagement.upgrade.enable -}}
{{- fail "dbManagement.initialize and dbManagement.upgrade.enable exclude each other" -}}
{{- end -}}
{{- if and (not .Values.kasmSecrets.create) (not .Values.kasmSecrets.name) -}}
{{- fail "kasmSecrets.create: false needs kasmSecrets.name" -}}
{{- end -}}
{{- end -}}
