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
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm-db.env" (dict "context" . "result" "/var/lib/kasm-db/status.json")) .Values.migrator.extraEnv) | nindent 4 }}
  resources: {{- toYaml .Values.migrator.resources | nindent 4 }}
  volumeMounts:
    {{- include "kasm-db.mounts" . | nindent 4 }}
    - name: kasm-db-status
      mountPath: /var/lib/kasm-db
    {{- with .Values.migrator.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
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
      # The way around a pooler, to which pg_dump would leave its search_path. Its password goes by PGPASSWORD: arguments can be read by others.
      direct="${KASM_DB_DIRECT_URL:-}"
      if [ -e /etc/kasm-db/direct/url ]; then direct="$(sed 's|^\([a-z]*:..[^:/@]*\):[^@/]*@|\1@|' /etc/kasm-db/direct/url)"; fi
      export PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD
      file="/backup/$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump"
      pg_dump --format=custom --file="$file.part" ${direct:+"--dbname=$direct"} ${KASM_DB_ROLE:+"--role=$KASM_DB_ROLE"} || { rm -f "$file.part"; exit 1; }
      mv "$file.part" "$file"
      echo "Wrote $file."
      ls -1t /backup/"$PGDATABASE"-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z.dump | tail -n "+$((KEEP + 1))" | while read -r old; do rm -f "$old"; echo "Removed $old."; done
  {{- $env := printf "%s\n%s" (include "kasm-db.env" (dict "context" .)) (include "kasm-db.directEnv" .) }}
  env:
    {{- include "kasm-db.withExtraEnv" (list $env .Values.migrator.extraEnv) | nindent 4 }}
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
    {{- include "kasm-db.directMount" . | nindent 4 }}
    {{- with .Values.migrator.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
