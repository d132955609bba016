// Command cluster measures how fast a cluster is to have and how much memory it
// takes, ours beside kind's in the same run: `make bench-cluster`.
//
// A round is the life of one cluster. Rounds of ours and of kind take turns, after
// one of each that does not count. Components, node images and the app's image are
// on the machine beforehand. What is measured in a round, in this order:
//
//   - API ready: from the start of the process `cutover cluster up` until GET
//     /readyz is answered 200 on the host's loopback.
//   - node Ready: from the same start until a watch says that every condition of a
//     usable node is there: Ready is True.
//   - first pod Ready: from the same start. Once `cluster up` has returned, the
//     image of apps/shop is loaded into the cluster, which counts, and one pod of it
//     is created; the figure ends when a watch says that it is Ready.
//   - Deployment Ready: from the call that creates a Deployment of three pods of
//     apps/shop, whose image is loaded by then, until a watch says that three
//     replicas are ready.
//   - pod replaced: from the call that deletes one of these pods with a grace period
//     of zero until a watch says that a pod which was not there before is Ready.
//   - memory: the sum of the proportional set sizes of all processes of the cluster,
//     the janitor's included, read from /proc/PID/smaps_rollup as soon as CoreDNS,
//     Traefik and the node agent are Ready and the app's pods are gone.
//   - down: from the start of the process `cutover cluster down` until it has ended
//     and nothing of the cluster is left. It goes down as it was measured for memory.
//
// kind is used as a library and begins when its Create is called; its cluster has
// one node, Traefik and the agent are put into it in the same way, and it is down
// when its Delete returns. The pods have a readiness probe every second.
package main
