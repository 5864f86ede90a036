{{- define "kasm.legacy" -}}
{{- if semverCompare "<1.18.0-0" .Values.release -}}true{{- end -}}
{{- end -}}

{{- define "kasm.resolver" -}}
{{- .Values.proxy.resolver | default (printf "kube-dns.kube-system.svc.%s" .Values.clusterDomain) -}}
{{- end -}}

{{/* A list: context, component. */}}
{{- define "kasm.labels" -}}
{{- $context := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "kasm.selector" . }}
app.kubernetes.io/version: {{ $context.Values.release | quote }}
app.kubernetes.io/part-of: kasm
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
{{- with $context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kasm.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end -}}

{{/* A list: context, name, annotations of its own if it has any. */}}
{{- define "kasm.metadata" -}}
{{- $own := dict -}}
{{- if gt (len .) 2 -}}{{- $own = index . 2 -}}{{- end -}}
name: {{ index . 1 }}
namespace: {{ (index . 0).Values.namespace | quote }}
labels: {{- include "kasm.labels" . | nindent 2 }}
{{- with merge (dict) $own (index . 0).Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A list: context, component, more annotations. */}}
{{- define "kasm.podMetadata" -}}
{{- $context := index . 0 -}}
labels: {{- mergeOverwrite (include "kasm.labels" . | fromYaml) $context.Values.podLabels | toYaml | nindent 2 }}
{{- with merge (dict) (index . 2) $context.Values.podAnnotations $context.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A list: context, component, user id. */}}
{{- define "kasm.podSettings" -}}
{{- $context := index . 0 -}}
{{- $user := index . 2 -}}
enableServiceLinks: false
automountServiceAccountToken: false
{{- with include "kasm.pullSecrets" $context | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- include "kasm-db.scheduling" $context.Values }}
{{- if not $context.Values.affinity }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "kasm.selector" . | nindent 14 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $user }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Every pod may have a container of Kasm's and one of kasm-db's. */}}
{{- define "kasm.pullSecrets" -}}
{{- $names := include "kasm-db.pullSecrets" .Values | fromJsonArray -}}
{{- concat $names (index .Values "kasm-db").image.pullSecrets | uniq | toJson -}}
{{- end -}}

{{/* Of each of Kasm's containers. */}}
{{- define "kasm.containerSecurity" -}}
securityContext:
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* A list: context, values of the component, name of the image. */}}
{{- define "kasm.image" -}}
{{- $context := index . 0 -}}
{{- $image := $context.Values.image -}}
{{- $registry := ($context.Values.global | default dict).imageRegistry | default $image.registry | trimSuffix "/" }}
image: {{ (index . 1).image | default (printf "%s/%s:%s" $registry (index . 2) ($image.tag | default $context.Values.release)) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end -}}

{{/* A list: context, name of a credential in values. Answers {secret, key} as JSON. */}}
{{- define "kasm.reference" -}}
{{- $credentials := (index . 0).Values.credentials -}}
{{- $name := index . 1 -}}
{{- $named := dict "credentials" $credentials "fullnameOverride" (index (index . 0).Values "kasm-db").fullnameOverride -}}
{{- dict
  "secret" (index $credentials.otherSecrets $name | default (include "kasm-db.credentialsSecret" (dict "Release" (index . 0).Release "Values" $named)))
  "key" (index $credentials.keys $name) | toJson -}}
{{- end -}}

{{/* A list: context, variable, name of a credential in values. */}}
{{- define "kasm.secretEnv" -}}
{{- $reference := include "kasm.reference" (list (index . 0) (index . 2)) | fromJson -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ $reference.secret | quote }}
      key: {{ $reference.key | quote }}
{{- end -}}

{{/* Where API, manager and share find the database, in the variables that Kasm's images know. */}}
{{- define "kasm.databaseEnv" -}}
{{- $context := . -}}
{{- $database := .Values.database -}}
{{- if $database.bundled }}
- name: POSTGRES_HOST
  value: db
- name: POSTGRES_PORT
  value: '5432'
- name: POSTGRES_DB
  value: {{ include "kasm-db.text" $database.name }}
- name: POSTGRES_USER
  value: {{ include "kasm-db.text" $database.user }}
{{- else }}
{{- range $variable, $name := dict "POSTGRES_HOST" "host" "POSTGRES_PORT" "port" "POSTGRES_DB" "name" "POSTGRES_USER" "user" }}
- name: {{ $variable }}
  {{- if and $database.existingSecret (index $database.keys $name) }}
  valueFrom:
    secretKeyRef:
      name: {{ $database.existingSecret | quote }}
      key: {{ index $database.keys $name | quote }}
  {{- else }}
  value: {{ index $database $name | include "kasm-db.text" }}
  {{- end }}
{{- end }}
{{- end }}
{{- if and $database.existingSecret (not $database.bundled) }}
- name: POSTGRES_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $database.existingSecret | quote }}
      key: {{ $database.keys.password | quote }}
{{- else }}
{{ include "kasm.secretEnv" (list $context "POSTGRES_PASSWORD" "databasePassword") }}
{{- end }}
- name: KASM_DB_SSL
  value: {{ ne $database.sslmode "disable" | quote }}
# kasm-db makes the schema; the API must not try.
- name: DB_AUTO_INITIALIZE
  value: 'false'
{{- end -}}

{{/* What connection proxies (guac, RDP gateways) are told. A list: context, port. */}}
{{- define "kasm.connectionProxyEnv" -}}
{{- $context := index . 0 -}}
{{ include "kasm.secretEnv" (list $context "REGISTRATION_TOKEN" "serviceToken") }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: SERVER_PORT
  value: {{ index . 1 | quote }}
- name: KASM_EPHEMERAL
  value: 'true'
# The proxy, since it has /api and /manager_api on one port.
- name: API_SCHEMA
  value: http
- name: API_HOSTNAME
  value: kasm-proxy
- name: API_PORT
  value: '8080'
{{- end -}}

{{/* The replicas of a component's values. Without any they are left to `kubectl scale`, or to an autoscaler. */}}
{{- define "kasm.replicas" -}}
{{- if and (not (kindIs "invalid" .replicas)) (not (dig "autoscaling" "enabled" false .)) -}}
replicas: {{ int .replicas }}
{{- end -}}
{{- end -}}

{{/* A list: context, component, its values; where more than one pod may run. */}}
{{- define "kasm.disruptionBudget" -}}
{{- $component := index . 2 -}}
{{- $autoscaled := dig "autoscaling" "enabled" false $component -}}
{{- if gt (ternary (dig "autoscaling" "maxReplicas" 2 $component) ($component.replicas | default 2) $autoscaled | int) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "kasm.metadata" (slice . 0 2) | nindent 2 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "kasm.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* A list: context, component, ports by name, and whether pods have names of their own. */}}
{{- define "kasm.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "kasm.metadata" (slice . 0 2) | nindent 2 }}
spec:
  {{- if index . 3 }}
  clusterIP: None
  # They register themselves before they are ready.
  publishNotReadyAddresses: true
  {{- end }}
  selector: {{- include "kasm.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := index . 2 }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $port }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* The nginx beside guac and the gateways, which speaks TLS to the proxy. A list: context, name, port, health path ('' for a look at the port). */}}
{{- define "kasm.sidecar" -}}
{{- $context := index . 0 -}}
- name: nginx
  {{- include "kasm.image" (list $context $context.Values.proxy "proxy") | nindent 2 }}
  {{- include "kasm.containerSecurity" . | nindent 2 }}
  ports:
    - {name: tls, containerPort: {{ index . 2 }}, protocol: TCP}
  readinessProbe:
    {{- if index . 3 }}
    httpGet: {path: {{ index . 3 }}, port: tls, scheme: HTTPS}
    {{- else }}
    tcpSocket: {port: tls}
    {{- end }}
    periodSeconds: 10
    timeoutSeconds: 5
  livenessProbe:
    tcpSocket: {port: tls}
    initialDelaySeconds: 10
    periodSeconds: 30
  resources:
    requests: {cpu: 10m, memory: 64Mi}
    limits: {memory: 256Mi}
  volumeMounts:
    {{- include "kasm.nginxMounts" . | nindent 4 }}
{{- end -}}

{{- define "kasm.nginxMounts" -}}
- name: nginx-config
  mountPath: /etc/nginx/nginx.conf
  subPath: main
- name: nginx-config
  mountPath: /etc/nginx/conf.d
- name: nginx-tls
  mountPath: /etc/nginx/tls
  readOnly: true
- name: nginx-writable
  mountPath: /var/cache/nginx
  subPath: cache
- name: nginx-writable
  mountPath: /var/log/nginx
  subPath: log
- name: nginx-writable
  mountPath: /run
  subPath: run
{{- end -}}

{{/* A list: ConfigMap, TLS Secret. */}}
{{- define "kasm.nginxVolumes" -}}
- name: nginx-config
  configMap:
    name: {{ index . 0 }}
- name: nginx-tls
  secret:
    secretName: {{ index . 1 | quote }}
    defaultMode: 288 # 0440
- name: nginx-writable
  emptyDir: {sizeLimit: 1Gi}
{{- end -}}

{{/* A list: context, file in files/. */}}
{{- define "kasm.nginxConfig" -}}
# Not *.conf: it includes those beside it.
main: |
  {{- tpl ((index . 0).Files.Get "files/nginx.conf") (index . 0) | nindent 2 }}
{{ trimSuffix ".tpl" (index . 1) | base }}: |
  {{- tpl ((index . 0).Files.Get (printf "files/%s" (index . 1))) (index . 0) | nindent 2 }}
headers.inc: |
  {{- (index . 0).Files.Get "files/headers.inc" | nindent 2 }}
{{- end -}}
