"""What runs the steps: this machine, or Kubernetes with Argo Workflows."""
