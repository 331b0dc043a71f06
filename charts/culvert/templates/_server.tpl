{{/*
Redis and NATS of the chart's own: a StatefulSet of one pod, its Service, its password. (dict "root" $ "component" "redis" "port" 6379
"command" … "ports" … "readiness" …).
*/}}
{{- define "culvert.server" -}}
{{- $values := index .root.Values .component -}}
{{- $name := include "culvert.componentName" . -}}
{{- $image := dict "repository" $values.image.repository "tag" $values.image.tag "digest" $values.image.digest -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "culvert.metadata" . | nindent 2 }}
type: Opaque
data:
  password: {{ include "culvert.ownPassword" . | b64enc | quote }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "culvert.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "culvert.selector" . | nindent 4 }}
  ports:
    - { name: {{ .component }}, port: {{ .port }}, targetPort: {{ .component }}, protocol: TCP }
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "culvert.metadata" . | nindent 2 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  selector:
    matchLabels:
      {{- include "culvert.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "culvert.selector" . | nindent 8 }}
        app.kubernetes.io/part-of: culvert
        {{- with .root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .root.Values.podSecurityContext | nindent 8 }}
      {{- range $key := list "nodeSelector" "tolerations" "affinity" }}
      {{- with index $values $key }}
      {{ $key }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "culvert.imageName" $image | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command:
            {{- toYaml .command | nindent 12 }}
          securityContext:
            {{- toYaml .root.Values.containerSecurityContext | nindent 12 }}
          env:
            - name: PASSWORD
              valueFrom: { secretKeyRef: { name: {{ $name }}, key: password } }
          ports:
            {{- toYaml .ports | nindent 12 }}
          livenessProbe:
            {{- toYaml (merge (dict "periodSeconds" 10 "failureThreshold" 6) .probe) | nindent 12 }}
          readinessProbe:
            {{- toYaml (merge (dict "periodSeconds" 5) .probe) | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /data }
      {{- if not $values.persistence.enabled }}
      volumes:
        - name: data
          emptyDir: { sizeLimit: {{ $values.persistence.size }} }
      {{- end }}
  {{- if $values.persistence.enabled }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests: { storage: {{ $values.persistence.size }} }
  {{- end }}
{{- end -}}
