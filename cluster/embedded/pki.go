package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of one cluster. Every cluster has its own, so
// that no credential of one is worth anything to another.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
}

// newAuthority makes a CA and writes <name>.crt into dir. Its key stays in memory:
// nothing is signed after a cluster is up.
func newAuthority(dir, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificateTemplate(pkix.Name{CommonName: "cutover " + name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key, dir: dir}, writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
}

// issue writes <name>.crt and <name>.key for a subject, good for both ends of a
// connection to the hosts.
func (a *authority) issue(name string, subject pkix.Name, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := certificateTemplate(subject)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(a.dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(filepath.Join(a.dir, name+".key"), key)
}

func certificateTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeServiceAccountKeys makes the pair that signs and checks pods' tokens.
func writeServiceAccountKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "sa.key"), key)
}

// writePKI makes all credentials of a cluster: those of the control plane below
// pki/, and below pki/ of each node's folder those that the node has.
func (s state) writePKI(nodes int) error {
	dir := s.path("pki")
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return err
	}
	// etcd has an authority of its own: a node's certificate must not open it.
	etcd, err := newAuthority(dir, "etcd-ca")
	if err != nil {
		return err
	}
	cluster := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + clusterDomain}
	type request struct {
		by      *authority
		name    string
		subject pkix.Name
		hosts   []string
	}
	for _, r := range []request{
		{etcd, "etcd", pkix.Name{CommonName: "etcd"}, []string{"127.0.0.1", "localhost"}},
		{etcd, "etcd-client", pkix.Name{CommonName: "kube-apiserver"}, nil},
		{ca, "apiserver", pkix.Name{CommonName: "kube-apiserver"}, append(cluster, "localhost", "127.0.0.1", node(0).ip(), apiServiceIP)},
		{ca, "apiserver-kubelet", pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}, nil},
		{ca, "admin", pkix.Name{CommonName: "cutover-admin", Organization: []string{"system:masters"}}, nil},
		{ca, "controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}, nil},
		{ca, "scheduler", pkix.Name{CommonName: "system:kube-scheduler"}, nil},
	} {
		if err := r.by.issue(r.name, r.subject, r.hosts...); err != nil {
			return fmt.Errorf("certificate of %s: %w", r.name, err)
		}
	}
	for _, n := range nodesOf(nodes) {
		if err := ca.admit(n, s.node(n).path("pki")); err != nil {
			return fmt.Errorf("certificates of %s: %w", n.name(), err)
		}
	}
	return writeServiceAccountKeys(dir)
}

// admit writes into dir what a node needs to be one of the cluster's.
func (a *authority) admit(n node, dir string) error {
	to := &authority{certificate: a.certificate, key: a.key, dir: dir}
	if err := writePEM(filepath.Join(dir, "ca.crt"), "CERTIFICATE", a.certificate.Raw); err != nil {
		return err
	}
	if err := to.issue("proxy", pkix.Name{CommonName: "system:kube-proxy"}); err != nil {
		return err
	}
	return to.issue("kubelet", pkix.Name{CommonName: "system:node:" + n.name(), Organization: []string{"system:nodes"}}, n.name(), n.ip())
}
