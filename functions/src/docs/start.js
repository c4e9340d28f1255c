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
  // Asks swagger.io otherwise.
  validatorUrl: null,
});
