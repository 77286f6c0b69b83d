import logo from './logo.svg';
import './style.css';

// Named from the root of the host, as many pages do: see "By path and by host" in the README.
document.querySelector('#app').innerHTML = `
  <h1>Hello from Vite</h1>
  <img id="logo" src="${logo}" alt="" width="48" />
  <img id="icon" src="/icons.svg" alt="" width="48" />
  <p id="path">${location.pathname}</p>
`;
