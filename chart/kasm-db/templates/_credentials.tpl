{{/* The Secret of the deployment: one that exists, or the one made here. */}}
{{- define "kasm-db.credentialsSecret" -}}
{{- .Values.credentials.existingSecret | default (printf "%s-credentials" (include "kasm-db.prefix" . | trunc 200)) -}}
{{- end -}}

{{/* A list: context, name of the credential in values. Answers its {secret, key} as JSON. */}}
{{- define "kasm-db.reference" -}}
{{- $credentials := (index . 0).Values.credentials -}}
{{- $name := index . 1 -}}
{{- dict
  "secret" (index $credentials.otherSecrets $name | default (include "kasm-db.credentialsSecret" (index . 0)))
  "key" (index (merge (dict) $credentials.keys $credentials.extra) $name) | toJson -}}
{{- end -}}

{{/* What kasm-db calls each credential that it seeds, and the name in values. */}}
{{- define "kasm-db.seeded" -}}
{{- $seeded := dict -}}
{{- range $file, $name := dict "admin-password" "adminPassword" "user-password" "userPassword" "manager-token" "managerToken" "service-token" "serviceToken" -}}
{{- if index $.Values.credentials.keys $name -}}{{- $seeded = set $seeded $file $name -}}{{- end -}}
{{- end -}}
{{- range $file, $_ := .Values.credentials.extra -}}
{{- $seeded = set $seeded $file $file -}}
{{- end -}}
{{- $seeded | toJson -}}
{{- end -}}

{{/* The keys that a Secret made here must have, with commas. Those that are in another Secret are its owner's. */}}
{{- define "kasm-db.madeKeys" -}}
{{- $names := list -}}
{{- if not .Values.credentials.existingSecret -}}
{{- if and .Values.credentials.makeDatabasePassword (not .Values.database.existingSecret) -}}
{{- $names = list "databasePassword" -}}
{{- end -}}
{{- if .Values.seed.enabled -}}
{{- $names = concat $names (include "kasm-db.seeded" . | fromJson | values | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- $keys := list -}}
{{- range $names -}}
{{- if not (index $.Values.credentials.otherSecrets .) -}}
{{- $keys = append $keys (include "kasm-db.reference" (list $ .) | fromJson).key -}}
{{- end -}}
{{- end -}}
{{- $keys | uniq | join "," -}}
{{- end -}}

{{/* Is there a cluster to ask? Every namespace has this ConfigMap; `helm template` and Argo CD see none, and would make new passwords each time. */}}
{{- define "kasm-db.seesCluster" -}}
{{- if lookup "v1" "ConfigMap" (include "kasm-db.namespace" .) "kube-root-ca.crt" -}}true{{- end -}}
{{- end -}}

{{/* What the Secret made here holds, as JSON. */}}
{{- define "kasm-db.madeData" -}}
{{- with lookup "v1" "Secret" (include "kasm-db.namespace" .) (include "kasm-db.credentialsSecret" .) -}}
{{- .data | default dict | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* Those of madeKeys that it lacks, with commas. */}}
{{- define "kasm-db.missingKeys" -}}
{{- $data := include "kasm-db.madeData" . | fromJson -}}
{{- $missing := list -}}
{{- range include "kasm-db.madeKeys" . | splitList "," | compact -}}
{{- if not (index $data .) -}}
{{- $missing = append $missing . -}}
{{- end -}}
{{- end -}}
{{- $missing | join "," -}}
{{- end -}}

{{/* The credentials that nobody has given: made once, kept for ever, before the migrator's hook. */}}
{{- define "kasm-db.credentials" -}}
{{- with include "kasm-db.madeKeys" . -}}
{{- if not (include "kasm-db.seesCluster" $) -}}
{{- include "kasm-db.noSecret" (list $ (splitList "," .)) -}}
{{- end -}}
{{- end -}}
{{- with include "kasm-db.missingKeys" . -}}
{{- if include "kasm-db.isUpgrade" $ -}}
{{- include "kasm-db.refuseToMake" (list $ . "this is an upgrade, so the database has other ones already") -}}
{{- end -}}
{{- $data := include "kasm-db.madeData" $ | fromJson -}}
{{- range splitList "," . -}}
{{- $data = set $data . (randAlphaNum 32 | b64enc) -}}
{{- end -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "kasm-db.credentialsSecret" $ }}
  namespace: {{ include "kasm-db.namespace" $ | quote }}
  labels: {{- include "kasm-db.labels" $ | nindent 4 }}
  annotations:
    {{- include "kasm-db.hook" $.Values.credentials.hookWeight | nindent 4 }}
    helm.sh/resource-policy: keep
type: Opaque
data: {{- toYaml $data | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* New random values would lock everybody out of a database that has others. A list: context, missing keys, why it is so. */}}
{{- define "kasm-db.refuseToMake" -}}
{{- $context := index . 0 -}}
{{- if not $context.Values.credentials.makeAgain -}}
{{- $secret := include "kasm-db.credentialsSecret" $context -}}
{{- fail (printf "kasm-db: the Secret %s in namespace %s is missing, or has no %s any more, and %s. Restore it from a backup, or make it with the values that are in use:\n  kubectl -n %s create secret generic %s --from-file=KEY=FILE …\nWhere nobody knows them, or nothing was ever seeded: credentials.makeAgain=true makes new ones, and %s={all} writes them into the database; its own password is changed with an admin's login (docs/CREDENTIALS.md)." $secret (include "kasm-db.namespace" $context) (index . 1 | replace "," ", ") (index . 2) (include "kasm-db.namespace" $context) $secret (include "kasm-db.valueName" (list $context "seed.rotate"))) -}}
{{- end -}}
{{- end -}}

{{/* A list: context, keys. */}}
{{- define "kasm-db.noSecret" -}}
{{- $context := index . 0 -}}
{{- $line := printf "kubectl -n %s create secret generic kasm-credentials" (include "kasm-db.namespace" $context) -}}
{{- range index . 1 -}}
{{- $line = printf "%s --from-literal=%s=\"$(openssl rand -hex 16)\"" $line . -}}
{{- end -}}
{{- fail (printf "kasm-db: there is no cluster (or no namespace %s yet) in which credentials could be made and kept. Make the namespace, or a Secret with them, and set credentials.existingSecret to its name:\n  %s" (include "kasm-db.namespace" $context) $line) -}}
{{- end -}}
