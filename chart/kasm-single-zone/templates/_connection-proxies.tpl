{{/* guac and the RDP gateways: their containers and volumes, the same in pods of their own and in those of connection-proxy. */}}

{{- define "kasm.guac.env" -}}
{{- $context := index . 0 -}}
{{- $component := $context.Values.guac -}}
{{- include "kasm.connectionProxyEnv" (list $context (index . 2)) }}
- name: SERVER_ADDRESS
  value: {{ index . 1 }}
- name: CLUSTER_SIZE
  value: {{ $component.workers | toString | quote }}
- name: ZONE
  value: {{ include "kasm-db.text" $context.Values.zone }}
{{- if include "kasm.legacy" $context }}
- name: KUBERNETES_SERVICE_HOST
  value: 'true'
{{- end }}
{{- end -}}

{{/* A list: context, the name and the port that it tells Kasm. */}}
{{- define "kasm.guac.container" -}}
{{- $context := index . 0 -}}
{{- $component := $context.Values.guac -}}
- name: guac
  {{- include "kasm.image" (list $context $component "kasm-guac") | nindent 2 }}
  {{- include "kasm.containerSecurity" $context | nindent 2 }}
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm.guac.env" .) $component.extraEnv) | nindent 4 }}
  ports:
    - {name: http, containerPort: 3000, protocol: TCP}
  readinessProbe:
    httpGet: {path: /__healthcheck, port: http}
    periodSeconds: 10
    timeoutSeconds: 5
  livenessProbe:
    tcpSocket: {port: http}
    initialDelaySeconds: 30
    periodSeconds: 30
  resources: {{- toYaml $component.resources | nindent 4 }}
  volumeMounts:
    - {name: recordings, mountPath: /tmp}
    - {name: guac-writable, mountPath: /opt/kasm/current/log, subPath: log}
    - {name: guac-writable, mountPath: /opt/kasm/current/tmp/guac, subPath: guac}
{{- end -}}

{{- define "kasm.rdpGateway.env" -}}
{{- $context := index . 0 -}}
{{- include "kasm.connectionProxyEnv" (list $context (index . 2)) }}
- name: SERVER_HOSTNAME
  value: {{ index . 1 }}
- name: SERVER_ZONE_NAME
  value: {{ include "kasm-db.text" $context.Values.zone }}
- name: SERVER_ID
  value: auto
- name: PROXY_PORT
  value: '3389'
{{- if include "kasm.legacy" $context }}
- name: KUBERNETES_SERVICE_HOST
  value: 'true'
{{- end }}
{{- end -}}

{{/* A list: context, the name and the port that it tells Kasm. */}}
{{- define "kasm.rdpGateway.container" -}}
{{- $context := index . 0 -}}
{{- $component := $context.Values.rdpGateway -}}
- name: rdp-gateway
  {{- include "kasm.image" (list $context $component "rdp-gateway") | nindent 2 }}
  {{- include "kasm.containerSecurity" $context | nindent 2 }}
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm.rdpGateway.env" .) $component.extraEnv) | nindent 4 }}
  ports:
    - {name: control, containerPort: 5555, protocol: TCP}
    - {name: rdp, containerPort: 3389, protocol: TCP}
  readinessProbe:
    httpGet: {path: /__healthcheck, port: control}
    periodSeconds: 10
    timeoutSeconds: 5
  livenessProbe:
    tcpSocket: {port: control}
    initialDelaySeconds: 30
    periodSeconds: 30
  resources: {{- toYaml $component.resources | nindent 4 }}
  volumeMounts:
    - {name: rdp-certificate, mountPath: /usr/local/etc/rdpproxy/rdpproxy.crt, subPath: tls.crt, readOnly: true}
    - {name: rdp-certificate, mountPath: /usr/local/etc/rdpproxy/rdpproxy.key, subPath: tls.key, readOnly: true}
    - {name: rdp-gateway-writable, mountPath: /usr/local/etc/rdpproxy/var, subPath: var}
    - {name: rdp-gateway-writable, mountPath: /opt/kasm/current/log, subPath: log}
    - {name: rdp-gateway-writable, mountPath: /tmp, subPath: tmp}
{{- end -}}

{{- define "kasm.rdpHttpsGateway.env" -}}
{{- $context := index . 0 -}}
{{- include "kasm.connectionProxyEnv" (list $context (index . 2)) }}
- name: SERVER_HOSTNAME
  value: {{ index . 1 }}
- name: SERVER_ZONE_NAME
  value: {{ include "kasm-db.text" $context.Values.zone }}
- name: SERVER_ID
  value: auto
{{- if include "kasm.legacy" $context }}
- name: KUBERNETES_SERVICE_HOST
  value: 'true'
{{- end }}
{{- end -}}

{{/* A list: context, the name and the port that it tells Kasm. */}}
{{- define "kasm.rdpHttpsGateway.container" -}}
{{- $context := index . 0 -}}
{{- $component := $context.Values.rdpHttpsGateway -}}
- name: rdp-https-gateway
  {{- include "kasm.image" (list $context $component "rdp-https-gateway") | nindent 2 }}
  {{- include "kasm.containerSecurity" $context | nindent 2 }}
  env: {{- include "kasm-db.withExtraEnv" (list (include "kasm.rdpHttpsGateway.env" .) $component.extraEnv) | nindent 4 }}
  ports:
    - {name: https, containerPort: 9443, protocol: TCP}
  readinessProbe:
    httpGet: {path: /rdp-https-gateway/__healthcheck, port: https, scheme: HTTPS}
    periodSeconds: 10
    timeoutSeconds: 5
  livenessProbe:
    tcpSocket: {port: https}
    initialDelaySeconds: 30
    periodSeconds: 30
  resources: {{- toYaml $component.resources | nindent 4 }}
  volumeMounts:
    - {name: rdp-certificate, mountPath: /opt/rdpgw/server.pem, subPath: tls.crt, readOnly: true}
    - {name: rdp-certificate, mountPath: /opt/rdpgw/key.pem, subPath: tls.key, readOnly: true}
    - {name: rdp-https-gateway-writable, mountPath: /opt/kasm/current/log, subPath: log}
    - {name: rdp-https-gateway-writable, mountPath: /tmp, subPath: tmp}
{{- end -}}

{{- define "kasm.guac.volumes" -}}
- name: guac-writable
  emptyDir: {sizeLimit: 1Gi}
{{- end -}}

{{- define "kasm.rdpGateway.volumes" -}}
- name: rdp-gateway-writable
  emptyDir: {sizeLimit: 1Gi}
{{- end -}}

{{- define "kasm.rdpHttpsGateway.volumes" -}}
- name: rdp-https-gateway-writable
  emptyDir: {sizeLimit: 150Mi}
{{- end -}}

{{/* Of both RDP gateways. */}}
{{- define "kasm.rdpCertificate" -}}
- name: rdp-certificate
  secret:
    secretName: {{ .Values.tls.rdp | quote }}
    defaultMode: 288 # 0440
{{- end -}}

{{/* Where guac keeps session recordings until they are uploaded. */}}
{{- define "kasm.guac.claims" -}}
- metadata:
    name: recordings
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .Values.guac.recordings.className }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ .Values.guac.recordings.size | quote }}
{{- end -}}
