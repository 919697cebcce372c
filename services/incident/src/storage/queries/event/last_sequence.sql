select coalesce(max(sequence), 0) from event where source = $1
