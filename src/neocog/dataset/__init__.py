"""What every data set is, whatever it holds: records, sources, splits, tables, class folders; each fact once."""
