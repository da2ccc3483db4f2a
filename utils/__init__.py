"""Facial-expression classification: the course's helpers, in the order that the data flow."""
