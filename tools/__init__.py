"""For those who keep the course: notebook checks, the README's tables, model cards."""
