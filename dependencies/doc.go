// Package dependencies runs what a release needs beside itself: a database, a queue,
// a cache. Each is a container on the engine that the cluster's nodes run on, joined
// to their network, so that faults and releases in the cluster leave it alone.
//
// A scenario names them under dependencies, and its app refers to them:
//
//	${dependencies.db.host}      the address of db, for pods
//	${dependencies.db.port}      its port, if it has one
//	${dependencies.db.port.sql}  one of its ports, by name
//
// [Start] goes through the ledger: a container is written down before it is made, and
// is removed by its labels, in whatever process.
package dependencies
