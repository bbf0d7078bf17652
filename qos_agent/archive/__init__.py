"""Archives of readings, their sources, and exports.

`sources` reads canonical lines back from journals, line files, InfluxDB and archives.
`build` combines them in Parquet files, `checking` compares the two, and `exporting`
writes files that other programs read. It may import `verdict`, `influx`, `journal`,
`config`, `evidence`, `system` and `model`.
"""
