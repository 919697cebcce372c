{{/* Names and labels. */}}
{{- define "reeve.fullname" -}}
{{- if contains "reeve" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-reeve" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "reeve.labels" -}}
app.kubernetes.io/part-of: reeve
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "reeve.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "reeve.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "reeve.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- define "reeve.secret" -}}
{{- required "existingSecret is required: see values.yaml for the keys that the Secret must have" .Values.existingSecret }}
{{- end }}

{{/* What Pod Security Standards call restricted. */}}
{{- define "reeve.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "reeve.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* An environment variable from the shared Secret: list name key context. */}}
{{- define "reeve.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "reeve.secret" (index . 2) }}
      key: {{ index . 1 }}
{{- end }}
