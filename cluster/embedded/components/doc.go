// Package components builds the programs that clusters are made of, each from its Go
// module. The modules are the folders beside this file, kept with .txt endings and
// materialised to be built; what was built is kept in a cache that only its owner
// can write, and checked before it is run. [Ensure] builds what a [Set] lacks.
package components
