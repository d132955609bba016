// Package engine is the container engine of this machine, as its `docker` command
// shows it: what it is, what it grants to a container, which images it has. Whatever
// DOCKER_HOST or a docker context chooses is what is meant.
package engine
