"""A node for tests: a private containerd, a kubelet's manners, trigger containers, and crier to watch them."""
