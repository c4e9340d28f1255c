SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#page',
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  filter: true,
  // Tokens stay in the page's memory: closing it forgets them.
  persistAuthorization: false,
  tryItOutEnabled: true,
  // The document names the deployment's public address. The page asks whoever served it: its policy lets it ask nobody else.
  requestInterceptor: (request) => {
    const { pathname, search } = new URL(request.url, location.href);
    request.url = location.origin + pathname + search;
    return request;
  },
  // Asks swagger.io otherwise.
  validatorUrl: null,
});
