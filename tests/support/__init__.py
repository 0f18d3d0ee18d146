"""What several tests share: drawn inputs, archives and tiny models."""
