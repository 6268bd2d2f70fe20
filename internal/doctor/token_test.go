package doctor

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"callbus/internal/graph"
)

const (
	home = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	away = "ffffbbbb-0000-cccc-1111-dddd2222eeee"
	app  = "00001111-aaaa-2222-bbbb-3333cccc4444"
)

// jwtOf makes a token of claims; nobody looks at its signature.
func jwtOf(t *testing.T, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part(body) + "." + part([]byte("signature"))
}

func TestTokens(t *testing.T) {
	good := func(change func(map[string]any)) string {
		c := map[string]any{
			"aud": "https://graph.microsoft.com", "tid": home, "appid": app, "exp": noon.Add(time.Hour).Unix(),
			"roles": []string{"Calls.Initiate.All", "Calls.InitiateGroupCall.All", "Calls.JoinGroupCallAsGuest.All", "Calls.AccessMedia.All"},
		}
		if change != nil {
			change(c)
		}
		return jwtOf(t, c)
	}
	set := func(claim string, value any) string { return good(func(c map[string]any) { c[claim] = value }) }
	public := wanted{graph.PublicCloud, home, app}
	for _, row := range []struct {
		name  string
		token string
		w     wanted
		want  []string
	}{
		{"all roles", good(nil), public, []string{"ok token: tenant " + home + ": for another 1h0m, app " + app + ", roles Calls.Initiate.All, "}},
		{"only the one that is needed", set("roles", []string{"Calls.Initiate.All"}), public, []string{
			"ok token: not there: a call to more than one target needs Calls.InitiateGroupCall.All, joining a meeting needs Calls.JoinGroupCall.All or Calls.JoinGroupCallAsGuest.All, app-hosted media needs Calls.AccessMedia.All"}},
		{"Graph by its id, in a list", set("aud", []string{"x", graphApp}), public, []string{"ok token"}},
		{"a tenant by its domain", good(nil), wanted{graph.PublicCloud, "contoso.com", app}, []string{"ok token: tenant contoso.com"}},
		{"a version 2 token", good(func(c map[string]any) { delete(c, "appid"); c["azp"] = app }), public, []string{"ok token: app " + app}},
		{"an app that nobody knows", good(nil), wanted{graph.PublicCloud, home, ""}, []string{"ok token"}},
		{"no such role", set("roles", []string{"Presence.Read.All"}), public, []string{"FAIL token: roles are Presence.Read.All, without Calls.Initiate.All"}},
		{"no roles at all", good(func(c map[string]any) { delete(c, "roles") }), public, []string{"FAIL token: admin consent"}},
		{"a person's token", good(func(c map[string]any) { delete(c, "roles"); c["scp"] = "Calls.Read" }), public, []string{"FAIL token: acts for a person (Calls.Read)"}},
		{"for somebody else", set("aud", "https://vault.azure.net"), public, []string{"FAIL token: is for https://vault.azure.net; Graph wants https://graph.microsoft.com"}},
		{"for nobody", good(func(c map[string]any) { delete(c, "aud") }), public, []string{"FAIL token: is for nobody"}},
		{"of another cloud", good(nil), wanted{graph.USGov, home, app}, []string{"FAIL token: Graph wants https://graph.microsoft.us"}},
		{"of another tenant", set("tid", away), public, []string{"FAIL token: is of tenant " + away}},
		{"expired", set("exp", noon.Add(-time.Minute).Unix()), public, []string{"FAIL token: expired 1m0s ago"}},
		{"of another app than notifications are for", set("appid", "else"), public, []string{"warn token: of app else, but notifications are taken for " + app}},
		{"several mistakes", good(func(c map[string]any) { c["aud"], c["tid"], c["roles"] = "x", away, nil }), public, []string{"FAIL token", "FAIL token", "FAIL token"}},
		{"opaque", "EwBIA8l6BAAURSN", public, []string{"warn token: no JWT"}},
		{"three parts that are none", "a.b.c", public, []string{"warn token: no JWT"}},
		{"a body that is no object", "a." + base64.RawURLEncoding.EncodeToString([]byte(`[1]`)) + ".c", public, []string{"warn token: no JWT"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			found := judgeToken(row.token, noon.Add(time.Hour), row.w, noon)
			assertFindings(t, found, row.want...)
			if strings.Contains(listed(found), row.token) {
				t.Errorf("the token is shown:\n%s", listed(found))
			}
		})
	}
}

func TestAdviceOnEntrasRefusals(t *testing.T) {
	for said, do := range map[string]string{
		"AADSTS7000215: Invalid client secret provided.": "not its id",
		"AADSTS7000222: The provided client secret keys": "expired",
		"AADSTS700016: Application with identifier":      "AZURE_CLIENT_ID",
		"AADSTS70021: No matching federated identity":    "federated credential",
		"AADSTS99999: something new":                     "sign-in log",
		"no answer from the authority in time":           "the way to the authority",
		"ManagedIdentityCredential: no default identity": "--azure-credential",
	} {
		if got := tokenAdvice(said); !strings.Contains(got, do) {
			t.Errorf("%s → %s; want %q in it", said, got, do)
		}
	}
}
