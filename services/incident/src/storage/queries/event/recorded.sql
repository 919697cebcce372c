select sequence from recorded_source where source = $1 for update
