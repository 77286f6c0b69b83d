import { itLives, withClusterAndBrowser } from './project.js';
import { FRAMEWORKS } from './projects/web-frameworks.js';

withClusterAndBrowser();

itLives(FRAMEWORKS);
