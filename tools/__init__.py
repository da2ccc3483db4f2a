"""For maintainers of the course: notebook checks, the README's tables, model cards."""
