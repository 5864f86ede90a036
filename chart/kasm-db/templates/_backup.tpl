{{/*
The init containers that dump the database into a volume before pending migrations: kasm-db writes down what is pending, and an image
with pg_dump reads that. A backup that fails is exit 1, so the Job fails and nothing is migrated.
*/}}
{{- define "kasm-db.backup" -}}
- name: status
  {{- include "kasm-db.container" . | nindent 2 }}
  args:
    - status
    {{- include "kasm-db.documentArgs" . | nindent 4 }}
    - --connect-timeout
    - {{ include "kasm-db.connectTimeout" . | quote }}
    - --json
  env:
    {{- include "kasm-db.env" (dict "context" . "result" "/var/lib/kasm-db/status.json") | nindent 4 }}
  resources: {{- toYaml .Values.migrator.resources | nindent 4 }}
  volumeMounts:
    {{- include "kasm-db.mounts" . | nindent 4 }}
    - name: kasm-db-status
      mountPath: /var/lib/kasm-db
- name: backup
  image: {{ .Values.migrator.backup.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- include "kasm-db.containerSecurity" . | nindent 2 }}
  command:
    - sh
    - -euc
    - |
      if grep -q '"pending":\[\]' /var/lib/kasm-db/status.json; then echo 'Nothing is pending: no backup.'; exit 0; fi
      if ! grep -q '"current":"' /var/lib/kasm-db/status.json; then echo 'Nothing is applied yet: no backup.'; exit 0; fi
      setting() { if [ -e "/etc/kasm-db/database/$1" ]; then cat "/etc/kasm-db/database/$1"; else printf %s "$2"; fi; }
      PGHOST="$(setting host "${POSTGRES_HOST:-}")" PGPORT="$(setting port "${POSTGRES_PORT:-}")"
      PGDATABASE="$(setting name "${POSTGRES_DB:-}")" PGUSER="$(setting user "${POSTGRES_USER:-}")"
      PGPASSWORD="$(setting password '')"
      export PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD
      file="/backup/$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump"
      pg_dump --format=custom --file="$file.part" || { rm -f "$file.part"; exit 1; }
      mv "$file.part" "$file"
      echo "Wrote $file."
      ls -1t /backup/"$PGDATABASE"-*.dump | tail -n "+$((KEEP + 1))" | while read -r old; do rm -f "$old"; echo "Removed $old."; done
  env:
    {{- include "kasm-db.env" (dict "context" .) | nindent 4 }}
    - name: KEEP
      value: {{ int .Values.migrator.backup.keep | quote }}
  resources: {{- toYaml .Values.migrator.backup.resources | nindent 4 }}
  volumeMounts:
    {{- include "kasm-db.mounts" . | nindent 4 }}
    - name: kasm-db-status
      mountPath: /var/lib/kasm-db
      readOnly: true
    - name: kasm-db-backup
      mountPath: /backup
{{- end -}}
