"""Everything that is SQL text: the functions of schema `payments`, and the few other statements that Python sends."""
