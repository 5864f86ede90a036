{{- define "kasm.validate" -}}
{{- $values := .Values -}}
{{- $own := index $values "kasm-db" -}}
{{- if not $values.host -}}
{{- fail "kasm-single-zone: set host to the public name, as in --set host=kasm.example.com" -}}
{{- end -}}
{{- range $name := append $values.altHosts $values.host -}}
{{- if or (regexMatch "[A-Z]" $name) (regexMatch "^[0-9.]+$" $name) -}}
{{- fail (printf "kasm-single-zone: %s: the public name must be in small letters and cannot be an address: an ingress knows names only" $name) -}}
{{- end -}}
{{- end -}}
{{- /* What this chart sets itself, and what those values are as long as nobody else does. */ -}}
{{- range $name, $default := dict "host" "" "existingSecret" "" "port" 5432 "name" "kasm" "user" "kasmapp" "sslmode" "require" -}}
{{- if ne (index $own.database $name | toString) (toString $default) -}}
{{- fail (printf "kasm-single-zone: set database.%s, not kasm-db.database.%s" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if or $own.database.ca.existingSecret $own.database.ca.existingConfigMap -}}
{{- fail "kasm-single-zone: set database.ca, not kasm-db.database.ca" -}}
{{- end -}}
{{- if ne $own.migrator.mode "hook" -}}
{{- fail "kasm-single-zone: set migrator.mode, not kasm-db.migrator.mode" -}}
{{- end -}}
{{- if or $own.credentials.existingSecret $own.credentials.makeDatabasePassword $own.credentials.makeAgain $own.credentials.otherSecrets -}}
{{- fail "kasm-single-zone: set credentials.*, not kasm-db.credentials.*" -}}
{{- end -}}
{{- range $name, $default := dict "password" "password" "uri" "" "host" "" "port" "" "name" "" "user" "" -}}
{{- if ne (index $own.database.keys $name | toString) $default -}}
{{- fail (printf "kasm-single-zone: set database.keys.%s, not kasm-db.database.keys.%s" $name $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $default := dict "databasePassword" "db-password" "adminPassword" "admin-password" "userPassword" "user-password" "managerToken" "manager-token" "serviceToken" "service-token" -}}
{{- if ne (index $own.credentials.keys $name | toString) $default -}}
{{- fail (printf "kasm-single-zone: set credentials.keys.%s, not kasm-db.credentials.keys.%s" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if ($values.global | default dict).namespace -}}
{{- fail "kasm-single-zone: set namespace, not global.namespace" -}}
{{- end -}}
{{- include "kasm-db.validateLabels" (list "commonLabels" $values.commonLabels) -}}
{{- include "kasm-db.validateLabels" (list "podLabels" $values.podLabels) -}}
{{- $database := $values.database -}}
{{- if $database.bundled -}}
{{- if ne (int $database.port) 5432 -}}
{{- fail "kasm-single-zone: database.port is of an external database, the bundled one has 5432: leave it, or set database.bundled to false" -}}
{{- end -}}
{{- if eq $database.sslmode "disable" -}}
{{- fail "kasm-single-zone: database.sslmode disable is for an external database: the bundled one takes connections with TLS only" -}}
{{- end -}}
{{- if and (eq $database.sslmode "verify-full") (not (or $database.ca.existingSecret $database.ca.existingConfigMap)) -}}
{{- fail "kasm-single-zone: database.sslmode verify-full needs database.ca for the bundled database: no public CA signs a certificate for its name, db" -}}
{{- end -}}
{{- end -}}
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
{{- $seconds := include "kasm-db.seconds" $wait -}}
{{- if le (int $values.progressDeadlineSeconds) (int $seconds) -}}
{{- fail (printf "kasm-single-zone: progressDeadlineSeconds (%d) must be longer than kasm-db.gate.wait (%s), or a Deployment that only waits counts as failed" (int $values.progressDeadlineSeconds) $wait) -}}
{{- end -}}
{{- if lt (int $values.api.autoscaling.maxReplicas) (int $values.api.autoscaling.minReplicas) -}}
{{- fail "kasm-single-zone: api.autoscaling.maxReplicas is below api.autoscaling.minReplicas" -}}
{{- end -}}
{{- if and (include "kasm.legacy" .) (gt (int $values.guac.replicas) 1) -}}
{{- fail "kasm-single-zone: guac.replicas must be 1 before release 1.18: its workers are behind one Service, and a connection would reach another pod's" -}}
{{- end -}}
{{- if $values.connectionProxy.enabled -}}
{{- if semverCompare "<1.19.0-0" $values.release -}}
{{- fail (printf "kasm-single-zone: connectionProxy.enabled is for images after 1.19.0; release is %s" $values.release) -}}
{{- end -}}
{{- if and $values.rdpGateway.enabled (ne $values.rdpGateway.service.type "ClusterIP") (kindIs "invalid" $values.connectionProxy.replicas) -}}
{{- fail (printf "kasm-single-zone: connectionProxy.replicas is empty, and rdpGateway.service.type %s makes a Service for each of them: set it" $values.rdpGateway.service.type) -}}
{{- end -}}
{{- end -}}
{{- if and $database.bundled (lookup "v1" "PersistentVolumeClaim" $values.namespace "data-db-0") -}}
{{- with include "kasm.db" (list . "kasm-db.missingKeys") -}}
{{- include "kasm.db" (list $ "kasm-db.refuseToMake" . "the volume data-db-0 was kept, so the database on it has other ones") -}}
{{- end -}}
{{- end -}}
{{- if include "kasm-db.seesCluster" (dict "Values" (dict "global" (dict "namespace" $values.namespace)) "Release" .Release) -}}
{{- $certificates := dict "tls.ingress" $values.tls.ingress "tls.rdp" $values.tls.rdp -}}
{{- if and $database.bundled $database.certificate -}}
{{- $certificates = set $certificates "database.certificate" $database.certificate -}}
{{- end -}}
{{- range $what, $name := $certificates -}}
{{- $secret := lookup "v1" "Secret" $values.namespace $name -}}
{{- range $key := list "tls.crt" "tls.key" -}}
{{- if and $secret (not (hasKey ($secret.data | default dict) $key)) -}}
{{- fail (printf "kasm-single-zone: the TLS Secret %s (%s) in namespace %s has no key %s; it has: %s" $name $what $values.namespace $key (keys ($secret.data | default dict) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- if not $secret -}}
{{- fail (printf "kasm-single-zone: the TLS Secret %s (%s) is missing in namespace %s; this makes one that signs itself:\n  openssl req -x509 -nodes -days 365 -newkey rsa:2048 -subj /CN=%s -addext subjectAltName=DNS:%s -keyout tls.key -out tls.crt\n  kubectl -n %s create secret tls %s --cert=tls.crt --key=tls.key" $name $what $values.namespace $values.host $values.host $values.namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
