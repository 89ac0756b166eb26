"""The interface of data sets, and each fact about files, folders, tables and labels once, whatever the data is."""
