// Command gather puts the rows of several benchmarks into one file, artifacts/bench.json,
// prints them as a table, and writes the table of a page of the docs.
package main
