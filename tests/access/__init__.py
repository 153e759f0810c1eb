"""Who may do what: an attack suite and the matrix of every right."""
