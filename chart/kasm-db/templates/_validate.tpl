{{- define "kasm-db.validate" -}}
{{- $values := .Values -}}
{{- $namespace := include "kasm-db.namespace" . -}}
{{- $database := $values.database -}}
{{- $fromSecret := and $database.existingSecret (or $database.keys.uri $database.keys.host) -}}
{{- if not (or $database.host $fromSecret) -}}
{{- fail (printf "kasm-db: set database.host%s" (ternary "" "; where a parent chart renders this one, as kasm-single-zone does, kasm-db.renderedByParent is true and `kasm-db:` is not left empty" .Chart.IsRoot)) -}}
{{- end -}}
{{- range splitList "," $database.host -}}
{{- if regexMatch "^[^:]*:[0-9]+$|\\[" . -}}
{{- fail (printf "kasm-db: database.host %s: the port is set by database.port, and an IPv6 address stands without brackets" .) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "[:@][^/]*$" $values.image.repository -}}
{{- fail (printf "kasm-db: image.repository %s: the tag is set by image.tag, a digest by image.digest" $values.image.repository) -}}
{{- end -}}
{{- if ne $values.migrator.mode "manual" -}}
{{- $deadline := include "kasm-db.podDeadline" . | int64 -}}
{{- range $name := list "lockTimeout" "connectTimeout" -}}
{{- $timeout := index $values.migrator $name | default "0s" -}}
{{- if ge (include "kasm-db.seconds" $timeout | int64) $deadline -}}
{{- fail (printf "kasm-db: migrator.%s (%s) must be shorter than migrator.activeDeadlineSeconds less 20 (%d s), or an attempt is ended before it says what it waited for" $name $timeout $deadline) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "kasm-db.validateLabels" (list "labels" $values.labels) -}}
{{- include "kasm-db.validateLabels" (list "migrator.podLabels" $values.migrator.podLabels) -}}
{{- if and $database.existingSecret (not (or $database.keys.password $database.keys.uri)) -}}
{{- fail "kasm-db: database.keys.password or database.keys.uri must name a key of database.existingSecret" -}}
{{- end -}}
{{- $password := $values.credentials.keys.databasePassword -}}
{{- if not (or $database.existingSecret $values.credentials.existingSecret $values.credentials.makeDatabasePassword $values.credentials.otherSecrets.databasePassword) -}}
{{- fail (printf "kasm-db: set credentials.existingSecret to a Secret with the database password; this makes one from a file:\n  kubectl -n %s create secret generic kasm-credentials --from-file=%s=./password.txt" $namespace $password) -}}
{{- end -}}
{{- include "kasm-db.validateCa" (list "database.ca" $database.ca) -}}
{{- include "kasm-db.validateCa" (list "redis.tls.ca" $values.redis.tls.ca) -}}
{{- if and (eq $database.sslmode "verify-ca") (not (or $database.ca.existingSecret $database.ca.existingConfigMap)) -}}
{{- fail "kasm-db: database.sslmode verify-ca needs database.ca.existingSecret or database.ca.existingConfigMap; without one, verify-full trusts the CAs of the image's system" -}}
{{- end -}}
{{- if and $values.seed.existingConfigMap $values.seed.existingSecret -}}
{{- fail "kasm-db: set one of seed.existingSecret and seed.existingConfigMap" -}}
{{- end -}}
{{- range $name, $_ := $values.credentials.otherSecrets -}}
{{- if not (or (hasKey $values.credentials.keys $name) (hasKey $values.credentials.extra $name)) -}}
{{- fail (printf "kasm-db: credentials.otherSecrets.%s is not a name in credentials.keys (%s) or in credentials.extra" $name (keys $values.credentials.keys | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- if and $values.seed.rotate (not $values.seed.enabled) -}}
{{- fail "kasm-db: seed.rotate needs seed.enabled" -}}
{{- end -}}
{{- if and $values.seed.force (not $values.seed.rotate) -}}
{{- fail "kasm-db: seed.force needs seed.rotate: it is for one upgrade that writes a token again" -}}
{{- end -}}
{{- if include "kasm-db.seededByKasm" . -}}
{{- if $values.seed.rotate -}}
{{- fail "kasm-db: seed.rotate is for what kasm-db has written; with seed.by kasm the values are Kasm's, and are changed there (docs/KASM-SEED.md)" -}}
{{- end -}}
{{- if and $database.existingSecret $database.keys.uri -}}
{{- fail "kasm-db: seed.by kasm cannot read database.keys.uri; name host, port, name, user and password in database.keys" -}}
{{- end -}}
{{- if and (or (ne $values.migrator.mode "manual") $values.onDemand.enabled) $values.database.role -}}
{{- fail "kasm-db: seed.by kasm cannot take on database.role: Kasm's program knows none" -}}
{{- end -}}
{{- end -}}
{{- if and $values.gate.user (not $values.gate.existingSecret) -}}
{{- fail "kasm-db: gate.user needs gate.existingSecret, the Secret with its password" -}}
{{- end -}}
{{- if and $values.gate.user $database.existingSecret $database.keys.uri (not (or $database.host $database.keys.host)) -}}
{{- fail "kasm-db: gate.user cannot be put into database.keys.uri; set database.host or database.keys.host too" -}}
{{- end -}}
{{- if $values.bootstrap.enabled -}}
{{- if not $values.bootstrap.existingSecret -}}
{{- fail (printf "kasm-db: bootstrap.enabled needs bootstrap.existingSecret, a Secret with an admin login; this makes one from files:\n  kubectl -n %s create secret generic kasm-database-admin --from-file=%s=./user.txt --from-file=%s=./password.txt" $namespace $values.bootstrap.keys.user $values.bootstrap.keys.password) -}}
{{- end -}}
{{- if and $values.bootstrap.gateRole (not $values.gate.existingSecret) -}}
{{- fail "kasm-db: bootstrap.gateRole needs gate.existingSecret, the Secret with its password" -}}
{{- end -}}
{{- end -}}
{{- with $values.migrator.backup -}}
{{- if and .enabled (not (and .image .existingClaim)) -}}
{{- fail "kasm-db: migrator.backup needs migrator.backup.image, with sh and a pg_dump not older than the server, and migrator.backup.existingClaim, a PersistentVolumeClaim" -}}
{{- end -}}
{{- if and .enabled $fromSecret $database.keys.uri -}}
{{- fail "kasm-db: migrator.backup cannot read database.keys.uri; name host, port, name, user and password in database.keys" -}}
{{- end -}}
{{- end -}}
{{- if eq $values.migrator.mode "hook" -}}
{{- range $name, $weight := dict "networkPolicy" $values.networkPolicy.hookWeight "credentials" $values.credentials.hookWeight -}}
{{- if ge (int $weight) (int $values.migrator.hookWeight) -}}
{{- fail (printf "kasm-db: %s.hookWeight (%d) must be below migrator.hookWeight (%d): the migrator needs it" $name (int $weight) (int $values.migrator.hookWeight)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (len (compact (list $values.redis.host (join "," $values.redis.sentinels) (join "," $values.redis.cluster)))) 1 -}}
{{- fail "kasm-db: set one of redis.host, redis.sentinels and redis.cluster" -}}
{{- end -}}
{{- end -}}

{{/* Whole seconds of a duration such as 10m. */}}
{{- define "kasm-db.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}{{ div $number 1000 }}{{- else -}}{{ mul $number (index (dict "s" 1 "m" 60 "h" 3600) $unit) }}{{- end -}}
{{- end -}}

{{- define "kasm-db.validateCa" -}}
{{- $ca := index . 1 -}}
{{- if and $ca.existingSecret $ca.existingConfigMap -}}
{{- fail (printf "kasm-db: set one of %s.existingSecret and %s.existingConfigMap" (index . 0) (index . 0)) -}}
{{- end -}}
{{- end -}}

{{/* Labels by which Helm, Services and the commands in NOTES find things. A list: the value, its labels. */}}
{{- define "kasm-db.validateLabels" -}}
{{- $value := index . 0 -}}
{{- range $name, $_ := index . 1 -}}
{{- if has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" "app.kubernetes.io/version" "app.kubernetes.io/part-of" "helm.sh/chart") -}}
{{- fail (printf "kasm-db: %s: %s is set by the chart; take another name" $value $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
