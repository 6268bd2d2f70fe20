package doctor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/graph"
)

// neededRole is the application permission that everything here needs.
const neededRole = "Calls.Initiate.All"

// otherRoles are needed by single kinds of calls only (Microsoft page "Create
// call"); one of each row is enough.
var otherRoles = []struct {
	any     []string
	without string
}{
	{[]string{"Calls.InitiateGroupCall.All"}, "a call to more than one target"},
	{[]string{"Calls.JoinGroupCall.All", "Calls.JoinGroupCallAsGuest.All"}, "joining a meeting"},
	{[]string{"Calls.AccessMedia.All"}, "app-hosted media"},
}

// graphApp is Graph's application id, which may stand for its URL as an audience.
const graphApp = "00000003-0000-0000-c000-000000000000"

// claims are those of an access token that are looked at. Microsoft calls its
// tokens opaque, and a worker treats them so; for a look they are good enough.
type claims struct {
	Audience audience `json:"aud"`
	Tenant   string   `json:"tid"`
	AppID    string   `json:"appid"` // of version 1 tokens
	AZP      string   `json:"azp"`   // of version 2 tokens
	Roles    []string `json:"roles"`
	Scopes   string   `json:"scp"` // of tokens that act for a person
	Expires  int64    `json:"exp"`
}

// audience is one string or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// parseClaims reads a JWT without checking its signature; false when it is none.
func parseClaims(token string) (c claims, isJWT bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return c, err == nil && json.Unmarshal(body, &c) == nil
}

// wanted is what a token should say.
type wanted struct {
	cloud  graph.Cloud
	tenant string // a name that is no id is not compared
	app    string // client id that notifications are addressed to; empty: not compared
}

// judgeToken tells what a token of Microsoft Entra ID is good for.
func judgeToken(token string, expires time.Time, w wanted, now time.Time) (found []Finding) {
	const check = "token"
	of := ofTenant(w.tenant)
	c, isJWT := parseClaims(token)
	if !isJWT {
		return []Finding{warn(check, "look at the app registration's permissions in the portal: Calls.Initiate.All, with admin consent", "%sa token was issued, but it is no JWT, so that its roles cannot be read", of)}
	}
	if c.Expires > 0 {
		expires = time.Unix(c.Expires, 0)
	}
	if !expires.After(now) {
		found = append(found, fail(check, "look at the line about clocks", "%sthe token that was just issued has expired %s", of, ago(now, expires)))
	}
	graphs := []string{w.cloud.Root(), w.cloud.Root() + "/", graphApp}
	if !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(graphs, a) }) {
		found = append(found, fail(check, "make --cloud, the authority (AZURE_AUTHORITY_HOST) and the app registration fit together", "%sthe token is for %s; Graph wants %s", of, orNone(c.Audience), w.cloud.Root()))
	}
	if isID(w.tenant) && c.Tenant != "" && !strings.EqualFold(c.Tenant, w.tenant) {
		found = append(found, fail(check, "correct --tenant, or let the identity have tokens of that tenant: a managed identity has them of its own alone", "%sthe token is of tenant %s", of, c.Tenant))
	}
	app := c.AppID
	if app == "" {
		app = c.AZP
	}
	if w.app != "" && app != "" && !strings.EqualFold(app, w.app) {
		found = append(found, warn(check, "set --callback-audience to the app that calls", "%sthe token is of app %s, but notifications are taken for %s: Graph addresses them to the app that calls, and they would be refused", of, app, w.app))
	}
	return append(found, judgeRoles(c, of, expires, now, len(found) == 0)...)
}

func judgeRoles(c claims, of string, expires, now time.Time, good bool) []Finding {
	const check = "token"
	const consent = "add the application permission Calls.Initiate.All to the app registration and grant admin consent in this tenant; it takes a few minutes to be in new tokens"
	switch {
	case c.Scopes != "" && len(c.Roles) == 0:
		return []Finding{fail(check, "use the app's own credential: AZURE_CLIENT_ID with a secret, a certificate or a federated token", "%sthe token acts for a person (%s); Graph's calls want one of an app", of, c.Scopes)}
	case !slices.Contains(c.Roles, neededRole):
		return []Finding{fail(check, consent, "%sthe token's roles are %s, without %s: Graph refuses every call (7504)", of, orNone(c.Roles), neededRole)}
	case !good: // told above
		return nil
	}
	text := fmt.Sprintf("%sfor another %s, app %s, roles %s", of, short(expires.Sub(now)), orNone(slices.DeleteFunc([]string{c.AppID, c.AZP}, func(s string) bool { return s == "" })), strings.Join(c.Roles, ", "))
	var without []string
	for _, r := range otherRoles {
		if !slices.ContainsFunc(r.any, func(role string) bool { return slices.Contains(c.Roles, role) }) {
			without = append(without, fmt.Sprintf("%s needs %s", r.without, strings.Join(r.any, " or ")))
		}
	}
	if len(without) > 0 {
		text += "; not there: " + strings.Join(without, ", ")
	}
	return []Finding{ok(check, "%s", text)}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "nobody"
	}
	return strings.Join(list, ", ")
}

func ofTenant(tenant string) string {
	if tenant == "" {
		return ""
	}
	return "tenant " + tenant + ": "
}

// isID tells whether a tenant is named by its id and not by a domain.
func isID(tenant string) bool { return len(tenant) == 36 && strings.Count(tenant, "-") == 4 }

// entraAdvice is what to do about Microsoft Entra's refusals, by code ("Microsoft
// Entra authentication and authorization error codes").
var entraAdvice = []struct{ code, do string }{
	{"AADSTS7000215", "the secret is wrong: give its value, not its id (AZURE_CLIENT_SECRET)"},
	{"AADSTS7000222", "the secret has expired: make another one and renew it in the worker's Secret"},
	{"AADSTS700016", "the app does not exist in that tenant: correct AZURE_CLIENT_ID or --tenant, or have its admin consent to the app"},
	{"AADSTS7000229", "the app has no service principal in that tenant: have its admin consent to the app"},
	{"AADSTS90002", "there is no such tenant: correct --tenant"},
	{"AADSTS900023", "that is no tenant: correct --tenant"},
	{"AADSTS700027", "upload the certificate of AZURE_CLIENT_CERTIFICATE_PATH to the app registration, and look whether it has expired"},
	{"AADSTS700024", "the assertion has expired: look at the line about clocks"},
	{"AADSTS70021", "make the federated credential's issuer, subject and audience those of the pod's service account"},
	{"AADSTS700213", "make the federated credential's subject that of the pod's service account"},
	{"AADSTS700211", "make the federated credential's issuer that of the cluster"},
	{"AADSTS53003", "a conditional access policy blocks the app: ask the tenant's admin"},
	{"AADSTS7000218", "give a secret or a certificate"},
}

// tokenAdvice is what to do when there is no token.
func tokenAdvice(said string) string {
	for _, a := range entraAdvice {
		if strings.Contains(said, a.code+":") {
			return a.do
		}
	}
	if strings.Contains(said, "AADSTS") {
		return "look the code up at https://login.microsoftonline.com/error and in the sign-in log of the app registration"
	}
	return "look at AZURE_*, --azure-credential, and the way to the authority (DNS, proxy, network policy)"
}
