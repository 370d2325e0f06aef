{{- define "archive.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "archive.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "archive.labels" -}}
{{ include "archive.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "archive.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "archive.databaseHost" -}}
{{- if .Values.database.enabled }}{{ include "archive.name" . }}-database{{ else }}{{ .Values.database.host }}{{ end }}
{{- end }}

{{/* Of every pod of ours. */}}
{{- define "archive.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "archive.contained" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* One variable from the Secret. */}}
{{- define "archive.secret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.existingSecret }}, key: {{ .name }}}
{{- end }}

{{/* The URL of an account; Kubernetes puts the password of the variable before it into the text. */}}
{{- define "archive.databaseUrl" -}}
{{ include "archive.secret" (dict "root" .root "name" .password) }}
- name: {{ .variable }}
  value: {{ printf "postgresql://%s:$(%s)@%s:%v/%s" .account .password (include "archive.databaseHost" .root) .root.Values.database.port .root.Values.database.name | quote }}
{{- end }}

{{- define "archive.settings" -}}
- name: STAC_RUCIO_SYNC_SETTINGS
  value: /etc/stac-rucio-sync/settings.toml
- name: STAC_RUCIO_SYNC_SERVICES__BASE_URL
  value: {{ .Values.baseUrl | quote }}
- name: STAC_RUCIO_SYNC_SERVICES__TITLE
  value: {{ .Values.title | quote }}
- name: STAC_RUCIO_SYNC_LOG__FORMAT
  value: {{ .Values.log.format | quote }}
- name: STAC_RUCIO_SYNC_LOG__LEVEL
  value: {{ .Values.log.level | quote }}
{{- end }}

{{- define "archive.rucio" -}}
- name: RUCIO_CONFIG
  value: /etc/rucio/rucio.cfg
{{- end }}

{{- define "archive.mounts" -}}
- {name: settings, mountPath: /etc/stac-rucio-sync, readOnly: true}
- {name: temporary, mountPath: /tmp}
{{- end }}

{{- define "archive.volumes" -}}
- name: settings
  configMap: {name: {{ include "archive.name" . }}}
- name: temporary
  emptyDir: {}
{{- end }}

{{- define "archive.rucioVolume" -}}
- name: rucio
  secret:
    secretName: {{ .Values.existingSecret }}
    defaultMode: 0440
    items: [{key: rucio.cfg, path: rucio.cfg}]
{{- end }}

{{/* Waits until the job of this revision has applied the tables. */}}
{{- define "archive.waiting" -}}
- name: wait-for-tables
  {{- include "archive.image" . | nindent 2 }}
  command: [sh, -c, "until stac-rucio-sync db status; do sleep 3; done"]
  env:
    {{- include "archive.settings" . | nindent 4 }}
    {{- include "archive.databaseUrl" (dict "root" . "variable" "STAC_RUCIO_SYNC_DATABASE__URL" "account" "archive_sync" "password" "SYNC_DATABASE_PASSWORD") | nindent 4 }}
  volumeMounts:
    {{- include "archive.mounts" . | nindent 4 }}
  {{- include "archive.contained" . | nindent 2 }}
  resources:
    requests: {cpu: 50m, memory: 128Mi}
    limits: {memory: 256Mi}
{{- end }}
