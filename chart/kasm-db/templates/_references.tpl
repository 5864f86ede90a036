{{/*
What this chart reads in the cluster, as JSON: a list of {kind, name, key, value}; without a key, the object itself is enough. Nothing
of what is made here, nor what may be missing (Redis' password: without it gates poll).
*/}}
{{- define "kasm-db.references" -}}
{{- $context := . -}}
{{- $values := .Values -}}
{{- $database := $values.database -}}
{{- $found := list -}}
{{- if $database.existingSecret -}}
{{- range $name, $key := $database.keys -}}
{{- $found = append $found (dict "kind" "Secret" "name" $database.existingSecret "key" $key "value" (printf "database.keys.%s" $name)) -}}
{{- end -}}
{{- end -}}
{{- $names := ternary (list) (list "databasePassword") (ne $database.existingSecret "") -}}
{{- if $values.seed.enabled -}}
{{- $names = concat $names (include "kasm-db.seeded" . | fromJson | values | sortAlpha) -}}
{{- end -}}
{{- range $name := $names -}}
{{- $reference := include "kasm-db.reference" (list $context $name) | fromJson -}}
{{- $value := ternary (printf "credentials.keys.%s" $name) (printf "credentials.extra.%s" $name) (hasKey $values.credentials.keys $name) -}}
{{- if or $values.credentials.existingSecret (ne $reference.secret (include "kasm-db.credentialsSecret" $context)) -}}
{{- $found = append $found (dict "kind" "Secret" "name" $reference.secret "key" $reference.key "value" $value) -}}
{{- end -}}
{{- end -}}
{{- range $value, $ca := dict "database.ca" $database.ca "redis.tls.ca" $values.redis.tls.ca -}}
{{- $found = append $found (dict "kind" "Secret" "name" $ca.existingSecret "key" $ca.key "value" (printf "%s.existingSecret" $value)) -}}
{{- $found = append $found (dict "kind" "ConfigMap" "name" $ca.existingConfigMap "key" $ca.key "value" (printf "%s.existingConfigMap" $value)) -}}
{{- end -}}
{{- with $database.clientCertificate -}}
{{- $found = append $found (dict "kind" "Secret" "name" .existingSecret "key" .certKey "value" "database.clientCertificate.certKey") -}}
{{- $found = append $found (dict "kind" "Secret" "name" .existingSecret "key" .keyKey "value" "database.clientCertificate.keyKey") -}}
{{- end -}}
{{- with $database.directUrl -}}
{{- $found = append $found (dict "kind" "Secret" "name" .existingSecret "key" .key "value" "database.directUrl.existingSecret") -}}
{{- end -}}
{{- $found = append $found (dict "kind" "Secret" "name" $values.gate.existingSecret "key" $values.gate.key "value" "gate.existingSecret") -}}
{{- with $values.bootstrap -}}
{{- if .enabled -}}
{{- range $name, $key := .keys -}}
{{- $found = append $found (dict "kind" "Secret" "name" $values.bootstrap.existingSecret "key" $key "value" (printf "bootstrap.keys.%s" $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $values.seed.enabled -}}
{{- $found = append $found (dict "kind" "Secret" "name" $values.seed.existingSecret "value" "seed.existingSecret") -}}
{{- $found = append $found (dict "kind" "ConfigMap" "name" $values.seed.existingConfigMap "value" "seed.existingConfigMap") -}}
{{- range $name, $source := dict "defaultProperties" $values.seed.defaultProperties "customProperties" $values.seed.customProperties -}}
{{- $found = append $found (dict "kind" "Secret" "name" $source.existingSecret "key" $source.key "value" (printf "seed.%s" $name)) -}}
{{- end -}}
{{- end -}}
{{- $found = append $found (dict "kind" "ConfigMap" "name" $values.migrations.existingConfigMap "value" "migrations.existingConfigMap") -}}
{{- with $values.migrator.backup -}}
{{- if and .enabled (ne $values.migrator.mode "manual") -}}
{{- $found = append $found (dict "kind" "PersistentVolumeClaim" "name" .existingClaim "value" "migrator.backup.existingClaim") -}}
{{- end -}}
{{- end -}}
{{- $found = append $found (dict "kind" "ServiceAccount" "name" $values.serviceAccountName "value" "serviceAccountName") -}}
{{- range include "kasm-db.pullSecrets" $values | fromJsonArray -}}
{{- $found = append $found (dict "kind" "Secret" "name" . "value" "image.pullSecrets") -}}
{{- end -}}
{{- $named := list -}}
{{- range $found -}}
{{- if and .name (or (not (hasKey . "key")) .key) -}}{{- $named = append $named . -}}{{- end -}}
{{- end -}}
{{- $named | toJson -}}
{{- end -}}

{{/*
What a value of this chart is called where a parent chart renders it: there the login, its CA, the keys of credentials and the pull Secrets
are the parent's own, and everything else stands under kasm-db. A list: context, name.
*/}}
{{- define "kasm-db.valueName" -}}
{{- if and (index . 0).Values.renderedByParent (not (regexMatch "^(database\\.(keys|ca)|credentials\\.keys|image)\\." (index . 1))) -}}kasm-db.{{- end -}}
{{- index . 1 -}}
{{- end -}}

{{/*
Which of the references Kasm's own containers get as variables, where they are made here or by a parent chart that renders this one: a regular
expression over `value`. Of the credentials that it seeds itself, kasm-db writes the value without a line break, so that only those that are compared
with it matter.
*/}}
{{- define "kasm-db.readAsVariables" -}}
{{- if include "kasm-db.seededByKasm" . -}}
^(database|credentials)\.keys\.
{{- else if .Values.renderedByParent -}}
^(database\.keys\.|credentials\.keys\.(databasePassword|serviceToken)$)
{{- end -}}
{{- end -}}

{{/*
Whatever is missing is named before anything starts: a pod would only stay in ContainerCreating until the Job's deadline. Not where this
chart is a dependency, since its parent may make the objects in the same release, as hooks of a lower weight.
*/}}
{{- define "kasm-db.lookUpReferences" -}}
{{- if and .Values.lookupReferences (or .Chart.IsRoot .Values.renderedByParent) (include "kasm-db.seesCluster" .) -}}
{{- $namespace := include "kasm-db.namespace" . -}}
{{- $missing := list -}}
{{- $broken := list -}}
{{- $asVariables := include "kasm-db.readAsVariables" . -}}
{{- range include "kasm-db.references" . | fromJsonArray -}}
{{- $object := lookup "v1" .kind $namespace .name -}}
{{- $value := include "kasm-db.valueName" (list $ .value) -}}
{{- if not $object -}}
{{- $missing = append $missing (printf "  the %s %s (%s)" .kind .name $value) -}}
{{- else if and .key (not (hasKey ($object.data | default dict) .key)) (not (hasKey ($object.binaryData | default dict) .key)) -}}
{{- $missing = append $missing (printf "  the key %s in the %s %s (%s), which has: %s" .key .kind .name $value (keys ($object.data | default dict) | sortAlpha | join ", ")) -}}
{{- else if and $asVariables .key (eq .kind "Secret") (regexMatch $asVariables .value) (get ($object.data | default dict) .key | b64dec | hasSuffix "\n") -}}
{{- $broken = append $broken (printf "  the key %s in the Secret %s (%s)" .key .name $value) -}}
{{- end -}}
{{- end -}}
{{- if $broken -}}
{{- fail (printf "kasm-db: in namespace %s the value ends with a line break, which Kasm's containers take for a part of it (kasm-db does not), of\n%s\nMake it without, as `printf %%s` writes a file and --from-literal a Secret" $namespace ($broken | uniq | join "\n")) -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "kasm-db: namespace %s lacks\n%s\nMake it, or correct the value. Where it comes with this release, as a hook before the migrator's: %s=false" $namespace ($missing | uniq | join "\n") (include "kasm-db.valueName" (list . "lookupReferences"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
