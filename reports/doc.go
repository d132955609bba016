// Package reports turns a finished run into what people and machines read: an HTML
// page, JUnit XML, Markdown, run.json, and an index over many runs.
//
// A report is a pure function of the record: it opens no files, asks no cluster and
// looks at no clock, so the same run gives the same bytes years later. The HTML page
// is one file that fetches nothing and is complete without JavaScript; it keeps its
// meaning even where a server blocks its style sheet, because every figure carries
// its colours as attributes.
package reports
