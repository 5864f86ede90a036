{{- define "kasm.validate" -}}
{{- $values := .Values -}}
{{- $own := index $values "kasm-db" -}}
{{- if not $values.host -}}
{{- fail "kasm-single-zone: set host to the public name, as in --set host=kasm.example.com" -}}
{{- end -}}
{{- if or $own.database.host $own.database.existingSecret -}}
{{- fail "kasm-single-zone: set database.*, not kasm-db.database.*" -}}
{{- end -}}
{{- if $own.credentials.existingSecret -}}
{{- fail "kasm-single-zone: set credentials.*, not kasm-db.credentials.*" -}}
{{- end -}}
{{- $database := $values.database -}}
{{- if and $database.bundled (or $database.host $database.existingSecret) -}}
{{- fail "kasm-single-zone: database.host and database.existingSecret are of an external database: set database.bundled to false" -}}
{{- end -}}
{{- if and $database.bundled (eq $values.migrator.mode "hook") -}}
{{- fail "kasm-single-zone: migrator.mode hook would wait for a bundled database that does not exist yet; leave it empty, or set database.bundled to false" -}}
{{- end -}}
{{- if not (or $database.bundled $database.host (and $database.existingSecret $database.keys.host)) -}}
{{- fail "kasm-single-zone: database.bundled is false: set database.host, or database.existingSecret and database.keys.host" -}}
{{- end -}}
{{- $wait := $own.gate.wait -}}
{{- $seconds := index (dict "ms" 0 "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+$" $wait) | mul (regexFind "^[0-9]+" $wait | int) -}}
{{- if le (int $values.progressDeadlineSeconds) (int $seconds) -}}
{{- fail (printf "kasm-single-zone: progressDeadlineSeconds (%d) must be longer than kasm-db.gate.wait (%s), or a Deployment that only waits counts as failed" (int $values.progressDeadlineSeconds) $wait) -}}
{{- end -}}
{{- if and (include "kasm.legacy" .) (gt (int $values.guac.replicas) 1) -}}
{{- fail "kasm-single-zone: guac.replicas must be 1 before release 1.18: its workers are behind one Service, and a connection would reach another pod's" -}}
{{- end -}}
{{- if and $database.bundled (lookup "v1" "PersistentVolumeClaim" $values.namespace "data-db-0") -}}
{{- with include "kasm.db" (list . "kasm-db.missingKeys") -}}
{{- include "kasm.db" (list $ "kasm-db.refuseToMake" . "the volume data-db-0 was kept, so the database on it has other ones") -}}
{{- end -}}
{{- end -}}
{{- if include "kasm-db.seesCluster" (dict "Values" (dict "global" (dict "namespace" $values.namespace)) "Release" .Release) -}}
{{- range $what, $name := dict "ingress" $values.tls.ingress "rdp" $values.tls.rdp -}}
{{- if not (lookup "v1" "Secret" $values.namespace $name) -}}
{{- fail (printf "kasm-single-zone: the TLS Secret %s (tls.%s) is missing in namespace %s; this makes one that signs itself:\n  openssl req -x509 -nodes -days 365 -newkey rsa:2048 -subj /CN=%s -addext subjectAltName=DNS:%s -keyout tls.key -out tls.crt\n  kubectl -n %s create secret tls %s --cert=tls.crt --key=tls.key" $name $what $values.namespace $values.host $values.host $values.namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
