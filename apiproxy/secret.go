package apiproxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"sigs.k8s.io/yaml"
)

// longestBody is how much of a write's body is recorded, in bytes.
const longestBody = 16 << 10

// account is a write's body as it may stand in a record: as JSON, and without the
// data of Secrets. What is in another form, or very long, is named by its hash.
func (p *Proxy) account(r Request, body []byte) string {
	text, err := yaml.YAMLToJSON(body)
	if err != nil || len(body) == 0 {
		return p.hash(body)
	}
	if r.Resource == "secrets" {
		var fields map[string]any
		if json.Unmarshal(text, &fields) != nil {
			return p.hash(body) // a JSON patch may have data anywhere
		}
		if text, err = json.Marshal(p.hideData(fields)); err != nil {
			return p.hash(body)
		}
	}
	if len(text) > longestBody {
		return p.hash(body)
	}
	return string(text)
}

// hideData has each value of a Secret's data replaced by its hash, and its
// annotations too: kubectl keeps the whole object in one of them.
func (p *Proxy) hideData(secret map[string]any) map[string]any {
	for _, key := range []string{"data", "stringData"} {
		secret[key] = p.hashAll(secret[key])
	}
	if metadata, ok := secret["metadata"].(map[string]any); ok {
		metadata["annotations"] = p.hashAll(metadata["annotations"])
	}
	return secret
}

func (p *Proxy) hashAll(values any) any {
	named, ok := values.(map[string]any)
	if !ok {
		return nil
	}
	hashed := map[string]any{}
	for name, value := range named {
		text, _ := json.Marshal(value)
		hashed[name] = p.hash(text)
	}
	return hashed
}

// hash tells contents of one proxy apart. It is keyed: nobody can find a short
// password by hashing all there are.
func (p *Proxy) hash(content []byte) string {
	if len(content) == 0 {
		return ""
	}
	sum := hmac.New(sha256.New, p.key)
	sum.Write(content)
	return "hmac-sha256:" + hex.EncodeToString(sum.Sum(nil))
}
