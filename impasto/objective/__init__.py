"""What one run minimises: content, style, regions, the subject, colours."""
