export { Wakeup } from '../core/wakeup.js';
