"""The networks of the paper's evaluation, from weight files that their authors publish."""
