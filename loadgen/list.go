package loadgen

// list is values in order. Its nodes are parts of the values, so that nothing is
// allocated for it, and a value leaves it from any place.
type list[T any] struct{ root node[T] }

// node is the place of a value in a list, or in none.
type node[T any] struct {
	value      *T
	prev, next *node[T]
}

// add puts n at the end.
func (l *list[T]) add(n *node[T]) { n.follow(l.tail()) }

// tail is the node at the end; that of no value if there is none.
func (l *list[T]) tail() *node[T] {
	root := &l.root
	if root.next == nil {
		root.prev, root.next = root, root
	}
	return root.prev
}

// follow puts n behind another node of a list.
func (n *node[T]) follow(other *node[T]) {
	n.prev, n.next = other, other.next
	n.prev.next, n.next.prev = n, n
}

// first is the value at the beginning, nil if there is none.
func (l *list[T]) first() *T {
	if l.root.next == nil {
		return nil
	}
	return l.root.next.value // the root's own is nil
}

// last is the value at the end, nil if there is none.
func (l *list[T]) last() *T {
	if l.root.prev == nil {
		return nil
	}
	return l.root.prev.value
}

func (n *node[T]) listed() bool { return n.next != nil }

// leave takes n out of its list, if it is in one.
func (n *node[T]) leave() {
	if n.listed() {
		n.prev.next, n.next.prev = n.next, n.prev
		n.prev, n.next = nil, nil
	}
}
