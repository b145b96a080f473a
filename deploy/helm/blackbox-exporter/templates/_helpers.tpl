{{- define "blackbox-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "blackbox-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "blackbox-exporter.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "blackbox-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "blackbox-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "blackbox-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "blackbox-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "blackbox-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- if .Values.releaseLabel }}
release: {{ .Release.Name }}
{{- end }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "blackbox-exporter.metadata" -}}
name: {{ include "blackbox-exporter.fullname" . }}
namespace: {{ include "blackbox-exporter.namespace" . }}
labels:
  {{- include "blackbox-exporter.labels" . | nindent 2 }}
{{- end }}

{{- define "blackbox-exporter.serviceAccountName" -}}
{{- if (.Values.serviceAccount).create }}
{{- default (include "blackbox-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" (.Values.serviceAccount).name }}
{{- end }}
{{- end }}

{{- define "blackbox-exporter.image" -}}
{{- $tag := default (printf "v%s" .Chart.AppVersion) .Values.image.tag }}
{{- $name := .Values.image.repository }}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name $tag }}
{{- end }}
{{- end }}

{{- /* Strings are templates, as in the community's chart. */}}
{{- define "blackbox-exporter.containers" -}}
{{- if kindIs "string" .containers }}{{ tpl .containers .root }}{{ else }}{{ toYaml .containers }}{{ end }}
{{- end }}

{{- /* How the exporter is reached. */}}
{{- define "blackbox-exporter.scheme" -}}
{{- if (default dict .Values.webConfig).tls_server_config }}https{{ else }}http{{ end }}
{{- end }}

{{- /* A probe of the kubelet, unless it is null, over HTTPS if the exporter has TLS and the probe does not set a scheme. */}}
{{- define "blackbox-exporter.probe" -}}
{{- with .probe }}
{{- $probe := deepCopy . }}
{{- if and (eq (include "blackbox-exporter.scheme" $.root) "https") $probe.httpGet }}
{{- $_ := set $probe "httpGet" (merge $probe.httpGet (dict "scheme" "HTTPS")) }}
{{- end }}
{{- if and $probe.httpGet (not ($.root.Values.health).open) }}
{{- $web := default dict $.root.Values.webConfig }}
{{- $authorized := false }}
{{- range $probe.httpGet.httpHeaders }}
{{- $authorized = or $authorized (eq (lower .name) "authorization") }}
{{- end }}
{{- if and $web.basic_auth_users (not $authorized) }}
{{- fail (printf "%s would get 401: webConfig asks for a password. Set health.open: true, or Authorization in %s.httpGet.httpHeaders, or %s: null." $.name $.name $.name) }}
{{- end }}
{{- if hasPrefix "Require" (default "" (default dict $web.tls_server_config).client_auth_type) }}
{{- fail (printf "%s would be refused: webConfig demands a client certificate, which the kubelet does not have. Set health.open: true, or %s: null." $.name $.name) }}
{{- end }}
{{- end }}
{{- $.name }}:
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The Secret of the user that holds the files. As in the community's chart, secretConfig wins. */}}
{{- define "blackbox-exporter.existingSecret" -}}
{{- if not .Values.secretConfig }}
{{- $root := . }}
{{- with .Values.configExistingSecretName }}
{{- range $name := list "policy" "targets" "webConfig" }}
{{- if index $root.Values $name }}
{{- fail (printf "%s would have no effect: configExistingSecretName replaces all of the chart's files. Put policy into the Secret's blackbox.yaml; name other files of the Secret in extraArgs, for instance --targets.file=/config/targets.yaml or --web.config.file=/config/web.yaml." $name) }}
{{- end }}
{{- end }}
{{- . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "blackbox-exporter.files" -}}
{{- $config := deepCopy (default dict .Values.config) }}
{{- with .Values.policy }}{{ $_ := set $config "policy" . }}{{ end }}
blackbox.yaml: |
  {{- toYaml $config | nindent 2 }}
{{- with .Values.targets }}
targets.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.webConfig }}
web.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
