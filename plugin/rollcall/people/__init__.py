"""Who is who: grouping of faces into people, and what is known of each."""
