"""What happens in an attack pod, and what its results mean; knows nothing of workflows."""
