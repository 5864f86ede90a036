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
{{- $seeded := dict "admin-password" "adminPassword" "user-password" "userPassword" "manager-token" "managerToken" "service-token" "serviceToken" -}}
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

{{/* The credentials that nobody has given: made once, kept for ever, before the migrator's hook. */}}
{{- define "kasm-db.credentials" -}}
{{- with include "kasm-db.madeKeys" . -}}
{{- $context := $ -}}
{{- $namespace := include "kasm-db.namespace" $context -}}
{{- $name := include "kasm-db.credentialsSecret" $context -}}
{{- $keys := splitList "," . -}}
{{- if not (include "kasm-db.seesCluster" $context) -}}
{{- include "kasm-db.noSecret" (list $context $keys) -}}
{{- end -}}
{{- $data := dict -}}
{{- $missing := false -}}
{{- with lookup "v1" "Secret" $namespace $name -}}
{{- $data = .data | default dict -}}
{{- end -}}
{{- range $keys -}}
{{- if not (index $data .) -}}
{{- $missing = true -}}
{{- $data = set $data . (randAlphaNum 32 | b64enc) -}}
{{- end -}}
{{- end -}}
{{- if $missing -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels: {{- include "kasm-db.labels" $context | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: '-20'
    helm.sh/hook-delete-policy: before-hook-creation
    helm.sh/resource-policy: keep
type: Opaque
data: {{- toYaml $data | nindent 2 }}
{{- end -}}
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
